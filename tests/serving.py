"""A server of files on this machine, which tests fetch from."""

import functools
import http.server
import re
import threading
from pathlib import Path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, as the real source does; `cut` bytes into an answer the line breaks."""

    cut, asked = None, []

    def do_GET(self):
        try:
            content = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            return self.send_error(404)
        first = int(re.match(r'bytes=(\d+)-', self.headers['Range'])[1])
        self.asked.append(first)
        if first >= len(content):
            return self.send_error(416)
        self.send_response(206)
        self.send_header('Content-Length', len(content) - first)
        self.end_headers()
        self.wfile.write(content[first:][: self.cut])

    def log_message(self, *_):
        pass


def serving(tmp_path: Path, monkeypatch):
    """Yields the folder that is served and its address; the cache is a folder beside it. A fixture
    is made of it where it is needed."""
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(Handler, 'cut', None)
    monkeypatch.setattr(Handler, 'asked', [])
    (tmp_path / 'served').mkdir()
    httpd = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Handler, directory=str(tmp_path / 'served'))
    )
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield tmp_path / 'served', f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()
