#!/usr/bin/env python3
"""The rows of `mobula microbenchmark` on Ray, under the same names and with the same counting.

usage: ray_rows.py OUT.json [--cpus N] [--trials N] [--seconds S] [--only NAME,NAME]
Needs `ray` and `numpy` in the Python that runs it. Prints a line for each row, and writes
{"machine", "rows": [{"name", "per_second", "p50_us", "p99_us", "sd", "n"}]} to OUT.json.
"""
import argparse
import json
import os
import platform
import statistics
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import ray

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--cpus", type=int, default=os.cpu_count())
parser.add_argument("--trials", type=int, default=4)
parser.add_argument("--seconds", type=float, default=2.0)
parser.add_argument("--only", default="")
options = parser.parse_args()
only = set(filter(None, options.only.split(",")))
rows = []


def save():
    with open(options.out, "w") as file:
        json.dump({"machine": {"cpus": options.cpus, "system": platform.platform(), "ray": ray.__version__}, "rows": rows},
                  file, indent=2)


def row(name, work, operations=1, latency=False, heavy=False):
    """`work` again and again, as bench::run does it: trials of so many seconds after a warm-up of a quarter."""
    if only and name not in only:
        return
    trials, times = [], []
    try:
        until = time.perf_counter() + (0 if heavy else options.seconds / 4)
        while time.perf_counter() < until:
            work()
        for _ in range(options.trials):
            spent, count = 0.0, 0
            while spent < options.seconds:
                begin = time.perf_counter()
                own = work()
                took = own if isinstance(own, float) else time.perf_counter() - begin
                spent += max(took, time.perf_counter() - begin)
                count += 1
                times.append(took)
            trials.append(operations * count / sum(times[-count:]))
    except Exception as failure:  # a row that fails is a finding, not the end
        print(f"{name}: failed: {failure!r}"[:300], flush=True)
        rows.append({"name": name, "per_second": None, "missing": repr(failure)[:300]})
        save()
        return
    times.sort()
    rows.append({
        "name": name,
        "per_second": statistics.mean(trials),
        "sd": statistics.stdev(trials) if len(trials) > 1 else None,
        "p50_us": 1e6 * times[len(times) // 2] if latency else None,
        "p99_us": 1e6 * times[min(len(times) - 1, len(times) * 99 // 100)] if latency else None,
        "n": len(times),
    })
    print(f"{name}: {rows[-1]['per_second']:.3f} a second", flush=True)
    save()


@ray.remote
def small():
    return b"ok"


@ray.remote(num_cpus=0)
class Server:
    def small(self):
        return b"ok"

    def with_argument(self, argument):
        return b"ok"


@ray.remote(num_cpus=0)
class AsyncServer:
    async def small(self):
        return b"ok"

    async def with_argument(self, argument):
        return b"ok"


@ray.remote(num_cpus=0)
class Client:
    def __init__(self, servers):
        self.servers = servers

    def batch(self, count):
        ray.get([server.small.remote() for server in self.servers for _ in range(count)])

    def batch_with_argument(self, count):
        argument = ray.put(0)
        ray.get([server.with_argument.remote(argument) for server in self.servers for _ in range(count)])


@ray.remote(num_cpus=0)
class Submitter:
    def batch(self, count):
        ray.get([small.remote() for _ in range(count)])


@ray.remote
def work(servers, calls):
    ray.get([servers[i % len(servers)].small.remote() for i in range(calls)])


@ray.remote
def put_small(count):
    for _ in range(count):
        ray.put(0)


@ray.remote
def put_large(count, integers):
    zeros = np.zeros(integers, dtype=np.int64)
    for _ in range(count):
        ray.put(zeros)


@ray.remote
def many_refs(count):
    return [ray.put(1) for _ in range(count)]


@ray.remote
def sum_of(*values):
    return sum(values)


def start_to_first_result():
    begin = time.perf_counter()
    ray.init(address="local", num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    ray.get(small.remote())
    took = time.perf_counter() - begin
    ray.shutdown()
    return took


def actor_start():
    begin = time.perf_counter()
    actor = Server.remote()
    ray.get(actor.small.remote())
    took = time.perf_counter() - begin
    ray.kill(actor)
    return took


def actors(count):
    begin = time.perf_counter()
    all_of_them = [Server.remote() for _ in range(count)]
    ray.get([actor.small.remote() for actor in all_of_them])
    took = time.perf_counter() - begin
    for actor in all_of_them:
        ray.kill(actor)
    return took


def wait_one_by_one():
    pending = [small.remote() for _ in range(1000)]
    while pending:
        _, pending = ray.wait(pending)


def groups(count):
    made = [ray.util.placement_group(bundles=[{"benchmark": 0.001}]) for _ in range(count)]
    for group in made:
        group.wait(timeout_seconds=30)
    for group in made:
        ray.util.remove_placement_group(group)


def idle_then(seconds, call):
    def once():
        time.sleep(seconds)
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    return once


if not only or "start_to_first_result" in only:
    options.seconds, seconds = 0.001, options.seconds
    row("start_to_first_result", start_to_first_result, latency=True, heavy=True)
    options.seconds = seconds

ray.init(address="local", num_cpus=options.cpus, include_dashboard=False, log_to_driver=False,
         resources={"benchmark": 1000}, object_store_memory=4 << 30)
half = max(1, options.cpus // 2)
server = Server.remote()


def sync_task():
    ray.get(small.remote())


def sync_call():
    ray.get(server.small.remote())


for name, call in (("task_sync", sync_task), ("actor_sync", sync_call)):
    row(name, call, latency=True)
    for label, seconds in (("100us", 1e-4), ("1ms", 1e-3), ("10ms", 1e-2)):
        row(f"{name}_idle_{label}", idle_then(seconds, call), latency=True)
row("task_async", lambda: ray.get([small.remote() for _ in range(20_000)]), 20_000, heavy=True)
row("actor_async", lambda: ray.get([server.small.remote() for _ in range(20_000)]), 20_000, heavy=True)
row("actor_start", actor_start, latency=True, heavy=True)
row("actors_per_second", lambda: actors(20), 20, heavy=True)

small_value = ray.put(0)
row("single client get calls", lambda: [ray.get(small_value) for _ in range(1000)] and None, 1000)
row("single client put calls", lambda: [ray.put(0) for _ in range(1000)] and None, 1000)
row("multi client put calls", lambda: ray.get([put_small.remote(100) for _ in range(10)]), 1000)
gigabytes = np.zeros(100 * 1024 * 1024, dtype=np.int64)
row("single client put gigabytes", lambda: ray.put(gigabytes), 0.8)
hundred = np.zeros(100_000_000, dtype=np.uint8)
row("put_100mb", lambda: ray.put(hundred), latency=True)
row("memcpy_touched", (lambda to: lambda: np.copyto(to, hundred))(hundred.copy()), latency=True)
row("multi client put gigabytes", lambda: ray.get([put_large.remote(10, 10 * 1024 * 1024) for _ in range(10)]), 8)
gibibyte = ray.put(np.ones(1 << 30, dtype=np.uint8))
row("get_1gib", lambda: ray.get(gibibyte), latency=True)
del gibibyte, gigabytes
refs = many_refs.remote(10_000)
row("single client get object containing 10k refs", lambda: ray.get(refs), latency=True)
row("single client wait 1k refs", wait_one_by_one, latency=True, heavy=True)
values = [ray.put(i) for i in range(10_000)]
row("get_10k", lambda: ray.get(values), latency=True)
row("args_10k", lambda: ray.get(sum_of.remote(*values)), latency=True, heavy=True)

row("single client tasks and get batch", lambda: ray.get([small.remote() for _ in range(1000)]), latency=True)
row("single client tasks sync", sync_task, latency=True)
row("single client tasks async", lambda: ray.get([small.remote() for _ in range(1000)]), 1000)
submitters = [Submitter.remote() for _ in range(4)]
row("multi client tasks async", lambda: ray.get([one.batch.remote(10_000) for one in submitters]), 40_000, heavy=True)
row("1:1 actor calls sync", sync_call, latency=True)
row("1:1 actor calls async", lambda: ray.get([server.small.remote() for _ in range(1000)]), 1000)
threads = Server.options(max_concurrency=16).remote()
row("1:1 actor calls concurrent", lambda: ray.get([threads.small.remote() for _ in range(1000)]), 1000)
for prefix, kind in (("", Server), ("async-", AsyncServer)):
    servers = [kind.remote() for _ in range(half)]
    client = Client.remote(servers)
    if prefix:
        row("1:1 async-actor calls sync", lambda: ray.get(servers[0].small.remote()), latency=True)
        row("1:1 async-actor calls async", lambda: ray.get([servers[0].small.remote() for _ in range(1000)]), 1000)
        row("1:1 async-actor calls with args async",
            lambda: ray.get([servers[0].with_argument.remote(i) for i in range(1000)]), 1000)
    row(f"1:n {prefix}actor calls async", lambda: ray.get(client.batch.remote(5000)), 5000 * half)
    row(f"n:n {prefix}actor calls async", lambda: ray.get([work.remote(servers, 5000) for _ in range(4)]), 20_000,
        heavy=True)
clients = [Client.remote([Server.remote()]) for _ in range(half)]
row("n:n actor calls with arg async", lambda: ray.get([one.batch_with_argument.remote(1000) for one in clients]),
    1000 * half)
row("placement group create/removal", lambda: groups(100), 100)
ray.shutdown()
