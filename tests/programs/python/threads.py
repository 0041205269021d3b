"""Threads, sockets and event loops, as programs in Python use them."""

import asyncio
import concurrent.futures
import errno
import os
import queue
import selectors
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def pool():
    with concurrent.futures.ThreadPoolExecutor(16) as workers:
        print("pool", sum(workers.map(lambda n: n * n, range(2000))))
    todo, done = queue.Queue(10), []

    def work():
        while (item := todo.get()) is not None:
            done.append(item)

    thread = threading.Thread(target=work)
    thread.start()
    for n in range(1000):
        todo.put(n)
    todo.put(None)
    thread.join()
    print("queue", done == list(range(1000)))
    event = threading.Event()
    timer = threading.Timer(0.01, event.set)
    timer.start()
    print("timer", event.wait(10))
    condition, turns = threading.Condition(), []

    def turn(mine):
        for _ in range(100):
            with condition:
                condition.wait_for(lambda: len(turns) % 2 == mine)
                turns.append(mine)
                condition.notify()

    pair = [threading.Thread(target=turn, args=(n,)) for n in range(2)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    print("turns", turns == [0, 1] * 100)


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


def servers():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        answers = []
        for n in range(10):
            with socket.create_connection(server.server_address) as client:
                client.sendall(f"line {n}\n".encode() * 100)
                client.shutdown(socket.SHUT_WR)
                with client.makefile("rb") as stream:
                    answers.append(len(stream.read()))
        server.shutdown()
    print("echo", answers)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 1000)

    def log_message(self, *_):
        pass


def web():
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        with concurrent.futures.ThreadPoolExecutor(8) as workers:
            url = f"http://127.0.0.1:{server.server_port}/x"
            sizes = set(workers.map(lambda _: len(urllib.request.urlopen(url).read()), range(40)))
        server.shutdown()
    print("web", sizes)


async def loops():
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line[::-1])
            await writer.drain()
        writer.close()

    async def ask(port, n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{n}\n".encode())
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        answers = await asyncio.gather(*(ask(port, n) for n in range(50)))
    print("asyncio", sorted(answers)[:3], len(answers))
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 10)
    print("signal in a loop")
    print("in a thread", await asyncio.to_thread(sum, range(10)))
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except TimeoutError:
        print("timed out")


def select_all():
    for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
        with kind() as chooser:
            left, right = socket.socketpair()
            chooser.register(left, selectors.EVENT_READ)
            before = chooser.select(0)
            right.send(b"x")
            print(kind.__name__, len(before), len(chooser.select(10)))
            left.close()
            right.close()


def wakeups():
    seen = []
    signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    begun = time.monotonic()
    time.sleep(0.1)
    print("alarm", seen, time.monotonic() - begun >= 0.1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2)
    print("waited", signal.sigtimedwait([signal.SIGUSR2], 1).si_signo == signal.SIGUSR2)
    print("none", signal.sigtimedwait([signal.SIGUSR2], 0.01))


def secure():
    context = ssl.create_default_context()
    print("tls", ssl.HAS_TLSv1_3, context.check_hostname, len(context.get_ca_certs()) >= 0)
    left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(left, right, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        print("hello of", right.pending > 100)


def second():
    """There is one process: what starts another says so."""
    for what, act in {
        "subprocess": lambda: subprocess.run(["/usr/bin/true"], check=True).returncode,
        "system": lambda: os.system("true"),
        "fork": lambda: os.fork() and os.wait()[1],
    }.items():
        try:
            outcome = act()
            if outcome is None or (what == "fork" and outcome == 0 and os.getppid() == first):
                os._exit(0)
            print(what, outcome)
        except OSError as problem:
            print(what, errno.errorcode[problem.errno])


first = os.getpid()
pool()
servers()
web()
asyncio.run(loops())
select_all()
wakeups()
secure()
second()
