"""A watcher beside each process of a run: it tells on the last line which process was lost.

When a process of a run dies, JAX ends the others from inside its runtime, where no Python code can
say why. So each process starts this file as a second process, which uses the standard library
alone. The watcher reads from its process through a pipe, and the watchers of all processes are
connected with that of process 0. The first process that dies, fails or does not answer is named to
all. Each watcher ends its own process, and then writes the last line.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

VARIABLE = 'TLJAX_WATCHER'  # of the environment: the settings of a watcher, as JSON
LOST = 75  # exit status of a process that ends because another one was lost
GRACE = 5  # seconds in which a process may end by itself after another one has failed
LINGER = 3  # seconds in which the cause of a death may arrive after the death
CONNECT = 20  # seconds in which watchers connect
FAILED = 'failed, as its own last line says'


class Settings(NamedTuple):
    """What a watcher is started with.

    Attributes:
        number: of its process.
        pid: of its process.
        count: number of processes.
        heartbeat: seconds without an answer after which a process is lost.
        addresses: (host, port) under which the watcher of process 0 may be found; empty for that
            watcher itself.
        token: a text that all watchers of a run share; others are not answered.

    >>> Settings(0, 99, 2, 30.0, (), 'f00d').number
    0
    """

    number: int
    pid: int
    count: int
    heartbeat: float
    addresses: tuple[tuple[str, int], ...]
    token: str


class Loss(NamedTuple):
    """The first process that ended before its time.

    Attributes:
        number: of the process.
        host: its host.
        how: how it ended, in words: 'died'.

    >>> str(Loss(1, 'b', 'died'))
    'process 1 on b died'
    """

    number: int
    host: str
    how: str

    def __str__(self) -> str:
        return f'process {self.number} on {self.host} {self.how}'


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """Returns the fit with the newest checkpoint in a run's folder, and the checkpoint's step.

    Args:
        folder: of a run or of one of its phases.

    >>> newest_checkpoint(Path('nowhere'))
    """
    found = [
        path
        for pattern in ('checkpoints/*', '*/checkpoints/*')
        for path in folder.glob(pattern)
        if path.name.isdigit()  # one that is being written has another name
    ]
    newest = max(found, key=lambda path: (path.parents[1].name, int(path.name)), default=None)
    return newest and (newest.parents[1], int(newest.name))


def remedy(folder: str | Path | None) -> str:
    """Says from where the same command goes on, in words.

    Args:
        folder: of a run or of one of its phases; '' where there is none.

    >>> remedy('nowhere')
    'nowhere holds no checkpoint: the same command starts anew (save_every)'
    """
    newest = newest_checkpoint(Path(folder)) if folder else None
    if newest:
        return f'the same command goes on from step {newest[1]} of {newest[0]}'
    where = f'{folder} holds no checkpoint' if folder else 'there is no checkpoint'
    return f'{where}: the same command starts anew (save_every)'


class Watcher:
    """The watcher of one process.

    Args:
        settings: what it was started with.

    >>> Watcher(Settings(0, os.getpid(), 1, 30.0, (), '')).loss is None
    True
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.host = socket.gethostname()
        self.loss: Loss | None = None
        self.known = asyncio.Event()  # whether there is a loss
        self.gone = asyncio.Event()  # whether the own process has ended
        self.said = ''  # how the own process has said that it ends: 'bye' or 'failed'
        self.folder = ''
        self.others: dict[int, asyncio.StreamWriter] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended: set[int] = set()  # processes that have said that they end well

    async def run(self) -> None:
        """Watches until the own process has ended."""
        process = asyncio.create_task(self.listen_to_process())
        if self.settings.number == 0:
            listener = _listener()
            await asyncio.start_server(lambda *pair: self.start(self.accept(*pair)), sock=listener)
            print(listener.getsockname()[1], flush=True)
        else:
            reader, writer = await self.connect()
            print('watching', flush=True)
            self.start(self.hear(0, reader, writer))
        self.start(self.beat())
        loss = asyncio.create_task(self.known.wait())
        await asyncio.wait([process, loss], return_when=asyncio.FIRST_COMPLETED)
        if self.loss is None and self.said != 'bye':  # the cause comes after the death
            with suppress(TimeoutError):
                await asyncio.wait_for(loss, LINGER)
        if self.loss and (self.loss.number != self.settings.number or not self.gone.is_set()):
            await self.end_process()
        elif self.said == 'bye' and self.settings.number == 0:
            await self.wait_for_others()
        with suppress(OSError):  # what was written last is sent
            await asyncio.gather(*(writer.drain() for writer in self.others.values()))

    def start(self, coroutine: Coroutine[None, None, None]) -> None:
        """Starts something that goes on beside the rest, until the watcher ends."""
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def listen_to_process(self) -> None:
        """Reads what the own process says of itself, until it has ended."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().strip():
            word, _, rest = line.partition(' ')
            if word == 'folder':
                self.folder = rest
            elif word == 'bye':
                self.said = word
                self.send({'bye': self.settings.number})
            elif word == 'failed':
                self.said = word
                self.report(FAILED)
        self.gone.set()
        if self.said != 'bye':
            self.report('died')

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Welcomes the watcher of another process, and listens to it."""
        try:
            hello = json.loads(await asyncio.wait_for(reader.readline(), CONNECT))
            number, host = int(hello['number']), str(hello['host'])
            welcome = hello['token'] == self.settings.token
        except (ValueError, LookupError, TypeError, TimeoutError):
            welcome = False
        if not welcome:
            writer.close()
            return
        writer.write(_line({'host': self.host}))
        if self.loss:
            writer.write(_line({'loss': self.loss}))
        await self.hear(number, reader, writer, host)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connects with the watcher of process 0."""
        hello = {'number': self.settings.number, 'host': self.host, 'token': self.settings.token}
        for host, port in self.settings.addresses:
            try:
                opened = asyncio.open_connection(host, port)
                reader, writer = await asyncio.wait_for(opened, CONNECT / 4)
                writer.write(_line(hello))
                if await asyncio.wait_for(reader.readline(), CONNECT):
                    return reader, writer
            except (OSError, TimeoutError):
                continue
        raise SystemExit(
            f'the watcher of process {self.settings.number} finds no other: a lost '
            'process will not be named'
        )

    async def hear(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str = '',
    ) -> None:
        """Listens to another watcher until its process has ended or a process is lost."""
        self.others[number] = writer
        host = host or self.settings.addresses[0][0]
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), self.settings.heartbeat)
            except TimeoutError:
                silence = f'has not answered for {self.settings.heartbeat:g} seconds'
                return self.lose(Loss(number, host, silence))
            except OSError:
                line = b''
            if not line:
                if number not in self.ended:
                    self.lose(Loss(number, host, 'died'))
                self.ended.add(number)
                return None
            message = json.loads(line)
            if 'loss' in message:
                return self.lose(Loss(*message['loss']))
            if 'bye' in message:
                self.ended.add(number)

    async def beat(self) -> None:
        """Shows the other watchers that this one lives."""
        while True:
            self.send({})
            await asyncio.sleep(self.settings.heartbeat / 4)

    def send(self, message: dict[str, object]) -> None:
        """Sends a message to every watcher that this one is connected with."""
        for writer in self.others.values():
            if not writer.is_closing():
                writer.write(_line(message))

    def report(self, how: str) -> None:
        """Tells the watcher of process 0 how the own process ended; what came first, it decides."""
        loss = Loss(self.settings.number, self.host, how)
        if self.settings.number == 0:
            self.lose(loss)
        else:
            self.send({'loss': loss})

    def lose(self, loss: Loss) -> None:
        """Remembers the first loss, and names it to the others."""
        if self.loss is None:
            self.loss = loss
            self.send({'loss': loss})
            self.known.set()

    async def end_process(self) -> None:
        """Ends the own process, and then writes the last line."""
        assert self.loss
        if self.loss.how == FAILED:
            if self.loss.number == self.settings.number:
                return
            with suppress(TimeoutError):  # the own process may fail for the same reason
                await asyncio.wait_for(self.gone.wait(), GRACE)
            if self.said and self.gone.is_set():
                return
        if not self.gone.is_set():
            print('lost', flush=True)
        try:
            await asyncio.wait_for(self.gone.wait(), GRACE)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(self.settings.pid, signal.SIGKILL)
            await self.gone.wait()
        now = time.strftime('%H:%M:%S')
        print(f'{self.loss} at {now}: {remedy(self.folder)}', file=sys.stderr, flush=True)

    async def wait_for_others(self) -> None:
        """Waits until all other processes have ended, so that none seems lost to them."""
        while not self.known.is_set() and len(self.ended) < self.settings.count - 1:
            await asyncio.sleep(0.05)


def _listener() -> socket.socket:
    """A socket on a free port, for both versions of the internet's protocol where there are two."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(('', 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(('', 0))


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b'\n'


if __name__ == '__main__':
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the process
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(Watcher(Settings(*json.loads(os.environ[VARIABLE]))).run())
