#!/usr/bin/env python3
"""Rows of `mobula microbenchmark rl` by other libraries: one JSON object a line.

usage: peers.py [--quick] ROW...        rows that no peer has are passed over
       peers.py --one PEER ROW [--quick]

Each peer has a process of its own, with one thread, and is counted as we count ourselves: processor seconds, from exec
where the row says so. What is not installed is told in "missing". Needs any of: torch, stable-baselines3 (with
gymnasium), envpool, rltools (with g++).
"""
import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
here = pathlib.Path(__file__).resolve()


def cpu():
    """Of this process since exec, and of its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rate(step, operations, seconds, clock=cpu):
    """Operations a second of `clock`, the best of three."""
    step()
    best = 0.0
    for _ in range(3):
        count, begin, until = 0, clock(), time.perf_counter() + seconds
        while time.perf_counter() < until:
            step()
            count += operations
        best = max(best, count / max(1e-9, clock() - begin))
    return {"per_second": best}


# Stable-Baselines3, with the settings of rl-baselines3-zoo.


def linear(start):
    return lambda left: left * start


def sb3_cartpole(quick):
    import numpy
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)

    class Solved(BaseCallback):
        def _on_step(self):
            last = self.model.ep_info_buffer
            return not (len(last) >= 100 and numpy.mean([one["r"] for one in last]) >= 475)

    PPO("MlpPolicy", make_vec_env("CartPole-v1", 8, seed=0), n_steps=32, batch_size=256, n_epochs=20, gamma=0.98,
        gae_lambda=0.8, ent_coef=0.0, learning_rate=linear(1e-3), clip_range=linear(0.2), seed=0, device="cpu"
        ).learn(1000 if quick else 100_000, callback=Solved())
    return {"p50_us": 1e6 * cpu(), "per_second": 1 / cpu()}


def sb3_updates(algorithm, environment, quick, **settings):
    import stable_baselines3
    import torch

    torch.set_num_threads(1)
    model = getattr(stable_baselines3, algorithm)("MlpPolicy", environment, learning_starts=0, train_freq=1,
                                                  gradient_steps=0, seed=0, device="cpu", **settings)
    model.learn(300 if quick else 2000)
    return rate(lambda: model.train(gradient_steps=5, batch_size=model.batch_size), 5, 0.1 if quick else 3)


def sb3_sac(quick):
    return sb3_updates("SAC", "Pendulum-v1", quick)


def sb3_dqn(quick):
    return sb3_updates("DQN", "CartPole-v1", quick, batch_size=64, policy_kwargs={"net_arch": [256, 256]})


# PyTorch: two networks of 64x64, one update of PPO.


def torch_networks():
    import torch

    torch.set_num_threads(1)

    def network(outputs):
        return torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(),
                                   torch.nn.Linear(64, outputs))

    return torch, network(2), network(1)


def torch_ppo(quick):
    torch, actor, critic = torch_networks()
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-4, eps=1e-5)
    seen, taken = torch.randn(256, 4), torch.randint(0, 2, (256,))
    old, advantage, target = torch.full((256,), -0.7), torch.randn(256), torch.randn(256)

    def update():
        choice = torch.distributions.Categorical(logits=actor(seen))
        ratio = (choice.log_prob(taken) - old).exp()
        loss = (-torch.min(advantage * ratio, advantage * ratio.clamp(0.8, 1.2)).mean()
                + 0.5 * ((critic(seen)[:, 0] - target) ** 2).mean() - 0.0 * choice.entropy().mean())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()

    return rate(update, 256, 0.1 if quick else 2)


def torch_forward(quick):
    torch, actor, _ = torch_networks()
    seen = torch.randn(1, 4)

    def forward():
        with torch.inference_mode():
            for _ in range(100):
                actor(seen)

    figures = rate(forward, 100, 0.1 if quick else 1)
    return {**figures, "p50_us": 1e6 / figures["per_second"]}


# EnvPool, by the best of its sizes and modes. Its threads count.


def envpool_steps(environment, quick):
    import envpool
    import numpy

    best = 0.0
    for count in (64, 1024):
        for batch in (count, count // 4):
            pool = envpool.make(environment, env_type="gymnasium", num_envs=count, batch_size=batch, num_threads=1, seed=0)
            actions = numpy.array([pool.action_space.sample() for _ in range(count)])
            if batch == count:
                pool.reset()
                step = lambda: pool.step(actions)
            else:
                pool.async_reset()

                def step():
                    which = pool.recv()[-1]["env_id"]
                    pool.send(actions[which], which)

            best = max(best, rate(step, batch, 0.05 if quick else 1)["per_second"])
    return {"per_second": best}


# RLtools, from the headers in its PyPI wheel.


def rltools_pendulum(quick):
    place = importlib.util.find_spec("rltools")
    if place is None:
        raise ModuleNotFoundError("No module named 'rltools'")
    headers = pathlib.Path(place.submodule_search_locations[0]) / "external/rl_tools/include"
    with tempfile.TemporaryDirectory() as folder:
        program = folder + "/pendulum"
        compiler = [os.environ.get("CXX", "g++"), "-std=c++17", "-O3", "-march=native", "-ffast-math", "-w",
                    f"-I{headers}", str(here.parent / "rltools_pendulum.cc"), "-o", program]
        note = "with OpenBLAS"
        if subprocess.run([*compiler, "-DRL_TOOLS_BACKEND_ENABLE_OPENBLAS", "-lopenblas"], stderr=subprocess.DEVNULL).returncode:
            note = "without BLAS: OpenBLAS is not installed"
            subprocess.run(compiler, check=True)
        said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    seconds = float(said.split("SECONDS")[1])
    return {"p50_us": 1e6 * seconds, "per_second": 1 / seconds, "note": note}


PEERS = [
    ("stable-baselines3", "cartpole_solved", sb3_cartpole),
    ("stable-baselines3", "sac_updates", sb3_sac),
    ("stable-baselines3", "dqn_updates", sb3_dqn),
    ("torch", "ppo_sample_pass", torch_ppo),
    ("torch", "forward_b1", torch_forward),
    ("envpool", "vecenv_cartpole", lambda quick: envpool_steps("CartPole-v1", quick)),
    ("envpool", "vecenv_pendulum", lambda quick: envpool_steps("Pendulum-v1", quick)),
    ("envpool", "vecenv_acrobot", lambda quick: envpool_steps("Acrobot-v1", quick)),
    ("rltools", "pendulum_300k", rltools_pendulum),
]


def one(peer, row, quick):
    found = {"peer": peer, "row": row}
    try:
        found |= next(measure for p, r, measure in PEERS if (p, r) == (peer, row))(quick)
    except ModuleNotFoundError as error:
        found["missing"] = str(error)
    except Exception as error:  # a peer that changed its interface is told, and the others go on
        found["missing"] = f"{type(error).__name__}: {error}"
    print(json.dumps(found), flush=True)


def main(words):
    quick = "--quick" in words
    words = [word for word in words if word != "--quick"]
    if words[:1] == ["--one"]:
        return one(words[1], words[2], quick)
    for peer, row, _ in PEERS:
        if row not in words:
            continue
        done = subprocess.run([sys.executable, str(here), "--one", peer, row, *(["--quick"] if quick else [])],
                              stdout=subprocess.PIPE, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        print(lines[-1] if lines else json.dumps({"peer": peer, "row": row, "missing": f"it ended with status {done.returncode}"}),
              flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
