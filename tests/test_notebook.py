"""A real Jupyter kernel: progress is plain lines, an error is one line, and an interrupt saves."""

import queue
import time

import pytest

TRAINING = """
model = tljax.train(
    data={{'name': 'digits', 'size': 8}},
    net={{'name': 'conv4', 'blocks': 1, 'size': 8, 'width': 4}},
    steps={steps},
    workdir={workdir!r},
    log_every=5,
)
print(model.scores['test']['accuracy'])
"""


class Notebook:
    """A kernel that runs cells, one after another."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self.kernel = KernelManager()
        self.kernel.start_kernel()  # of this interpreter
        self.client = self.kernel.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str, interrupt_at: str = '', seconds: float = 300) -> list[tuple[str, str]]:
        """[(kind, text)] of the messages of a cell; the kernel is interrupted at the first text
        with `interrupt_at` in it."""
        cell = self.client.execute(code)
        messages, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            kind, content = message['msg_type'], message['content']
            if message['parent_header'].get('msg_id') != cell:
                continue
            if kind == 'status' and content['execution_state'] == 'idle':
                return messages
            if kind == 'stream':
                messages.append((content['name'], content['text']))
            elif kind == 'error':
                messages.append((kind, '\n'.join(content['traceback'])))
            elif kind not in ('status', 'execute_input'):
                messages.append((kind, str(content)))
            if interrupt_at and messages and interrupt_at in messages[-1][1]:
                self.kernel.interrupt_kernel()
                interrupt_at = ''
        raise TimeoutError(f'the cell did not end: {messages[-5:]}')


@pytest.fixture
def notebook():
    notebook = Notebook()
    yield notebook
    notebook.client.stop_channels()
    notebook.kernel.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_notebook_trains_stops_and_goes_on(notebook, tmp_path):
    assert not [kind for kind, _ in notebook.run('import tljax') if kind == 'error']
    training = TRAINING.format(steps=1_000_000, workdir=str(tmp_path / 'run'))
    messages = notebook.run(training, interrupt_at='step ')
    text = ''.join(text for kind, text in messages if kind == 'stderr')
    assert 'task        10 classes' in text and 'Ctrl-C: saving, then stopping' in text
    assert {kind for kind, _ in messages} == {'stderr', 'error'}  # no blocks of HTML
    error = messages[-1][1]
    assert error.startswith('Stopped: stopped at step') and '\n' not in error
    at = int(error.split('step ')[1].split()[0])
    assert at > 1

    goes_on = notebook.run(TRAINING.format(steps=1_000_000, workdir=str(tmp_path / 'run')), 'step ')
    again = goes_on[-1][1]
    assert int(again.split('step ')[1].split()[0]) > at

    messages = notebook.run(TRAINING.format(steps=20, workdir=str(tmp_path / 'short')))
    assert messages[-1][0] == 'stdout' and messages[-1][1].startswith('[0.')


@pytest.mark.slow
def test_an_error_in_a_notebook_is_one_line(notebook):
    (message,) = [
        text
        for kind, text in notebook.run("import tljax; tljax.train(data='digitz', net='conv4')")
        if kind == 'error'
    ]
    assert message == "UserError: data.name='digitz' is unknown: did you mean digits?"
