"""Weights by name, fetched by the hub's own client from a hub of this machine."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from safetensors.numpy import save

from tljax.core import UserError
from tljax.zoo.weights import hub

COMMIT = '0123456789abcdef0123456789abcdef01234567'
CONTENT = save({'a': np.arange(3, dtype=np.float32)})
CALL = 'import sys; from tljax.zoo.weights import hub; print(hub.fetch(sys.argv[1]))'


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves one file of one repository, as the hub does. `promised` is the SHA-256 it tells."""

    promised = hashlib.sha256(CONTENT).hexdigest()
    requests = []

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        if self.answer():
            self.wfile.write(CONTENT)

    def answer(self):
        self.requests.append(self.path)
        found = self.path.startswith('/lab/net/resolve/')
        self.send_response(200 if found else 404)
        if found:
            self.send_header('X-Repo-Commit', COMMIT)
            self.send_header('X-Linked-Etag', f'"{self.promised}"')
            self.send_header('X-Linked-Size', str(len(CONTENT)))
            self.send_header('ETag', f'"{self.promised}"')
            self.send_header('Content-Length', str(len(CONTENT)))
        else:
            self.send_header('X-Error-Code', 'RepoNotFound')
        self.end_headers()
        return found

    def log_message(self, *args):
        pass


@pytest.fixture
def fetch(tmp_path):
    """A function that fetches a name in a process of its own, and returns its output."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    Hub.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        'HF_ENDPOINT': f'http://127.0.0.1:{server.server_port}',
        'TLJAX_CACHE': str(tmp_path),
        'HF_HUB_DISABLE_XET': '1',
    }

    def call(name):
        return subprocess.run(
            [sys.executable, '-c', CALL, name], env=environment, capture_output=True, text=True
        )

    yield call
    server.shutdown()


def test_a_file_is_fetched_once_and_then_taken_from_the_cache(fetch):
    first = fetch('hub:lab/net')
    assert first.returncode == 0, first.stderr
    path = first.stdout.splitlines()[-1]
    assert path.endswith(f'{COMMIT}/model.safetensors') and COMMIT in first.stdout + first.stderr
    with open(path, 'rb') as file:
        assert file.read() == CONTENT
    Hub.requests.clear()
    assert fetch('hub:lab/net').stdout.strip() == path
    assert fetch(f'hub:lab/net@{COMMIT}').stdout.strip() == path
    # the client may ask for other things than the repository
    assert [path for path in Hub.requests if '/lab/' in path] == []


def test_a_wrong_checksum_and_an_unknown_repository_are_one_line(fetch, monkeypatch):
    monkeypatch.setattr(Hub, 'promised', '0' * 64)
    wrong = fetch('hub:lab/net')
    assert wrong.returncode and 'SHA-256' in wrong.stderr.splitlines()[-1]
    monkeypatch.undo()
    assert fetch('hub:lab/net').returncode == 0  # nothing of the wrong file is left
    absent = fetch('hub:lab/other')
    assert absent.returncode and 'cannot be fetched' in absent.stderr.splitlines()[-1]


def test_a_name_that_is_none_is_refused():
    for name in ('hub:', 'hub:vit', 'hub:a/b/c', 'hub:a/b@'):
        with pytest.raises(UserError, match='names no repository'):
            hub.fetch(name)
