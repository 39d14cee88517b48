#!/usr/bin/env python3
"""Writes update_td3.json and update_discrete_sac.json: one whole update each by PyTorch's autograd and Adam, in double.

usage: make_updates.py [FOLDER]     needs torch and numpy; with stable_baselines3 its TD3.train must give the same

Layers 0, 2, 4 are linear ("w": [out][in]), relu between. TD3: smoothed targets of the smaller target critic, critics
(sum of the two MSE), actor with the new critics, Polyak for all. SAC for one of N actions (Christodoulou 2019,
equations 10 to 12): expectations over actions instead of samples; critics 0.5 (MSE1 + MSE2), actor with the new
critics, alpha from before its own step, Polyak.
"""
import json
import pathlib
import sys

import numpy
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
ROWS, HIDDEN = 24, 16


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def stored(module, of=lambda p: p):
    return {f"{layer}.{letter}": of(getattr(module[layer], name)).detach().tolist()
            for layer in (0, 2, 4) for letter, name in (("w", "weight"), ("b", "bias"))}


def gradients(module):
    return stored(module, lambda p: p.grad)


def copies(modules):
    made = []
    for module in modules:
        copy = network(module[0].in_features, module[4].out_features)
        copy.load_state_dict(module.state_dict())
        with torch.no_grad():
            for p in copy.parameters():
                p.add_(0.05 * torch.randn_like(p))
        made.append(copy)
    return made


def adam_step(modules, loss, lr):
    adam = torch.optim.Adam([p for module in modules for p in module.parameters()], lr=lr)
    adam.zero_grad()
    loss.backward()
    found = [gradients(module) for module in modules]
    adam.step()
    return found


def follow(modules, targets, tau):
    with torch.no_grad():
        for module, target in zip(modules, targets):
            for p, t in zip(module.parameters(), target.parameters()):
                t.mul_(1 - tau).add_(tau * p)


def transitions(width, action):
    return {"obs": torch.randn(ROWS, width), "action": action, "reward": torch.randn(ROWS),
            "next_obs": torch.randn(ROWS, width), "terminated": torch.rand(ROWS) < 0.25}


def listed(batch):
    return {name: value.tolist() for name, value in batch.items()}


def td3(seed):
    torch.manual_seed(seed)
    gamma, tau, lr = 0.98, 0.005, 1e-3
    actor, critics = network(3, 2), [network(5, 1), network(5, 1)]
    (target_actor,), target_critics = copies([actor]), copies(critics)
    document = {"actor": stored(actor), "target_actor": stored(target_actor)}
    for k in (0, 1):
        document |= {f"critic{k + 1}": stored(critics[k]), f"target{k + 1}": stored(target_critics[k])}
    batch = transitions(3, torch.rand(ROWS, 2) * 2 - 1)
    noise = (0.2 * torch.randn(ROWS, 2)).clamp(-0.3, 0.3)
    same_by_sb3 = sb3_td3(actor, critics, target_actor, target_critics, batch, gamma, tau, lr)
    case = {"gamma": gamma, "tau": tau, "lr": lr, **listed(batch), "clipped_noise": noise.tolist()}

    def update(noise):
        with torch.no_grad():
            smoothed = (torch.tanh(target_actor(batch["next_obs"])) + noise).clamp(-1, 1)
            into = torch.cat([batch["next_obs"], smoothed], 1)
            smaller = torch.min(target_critics[0](into), target_critics[1](into))[:, 0]
            target = batch["reward"] + gamma * ~batch["terminated"] * smaller
        q = [critic(torch.cat([batch["obs"], batch["action"]], 1))[:, 0] for critic in critics]
        loss = sum(((values - target) ** 2).mean() for values in q)
        critic_gradients = adam_step(critics, loss, lr)
        actor_loss = -critics[0](torch.cat([batch["obs"], torch.tanh(actor(batch["obs"]))], 1)).mean()
        actor_gradients = adam_step([actor], actor_loss, lr)
        follow([actor, *critics], [target_actor, *target_critics], tau)
        return target, loss, critic_gradients, actor_loss, actor_gradients

    if same_by_sb3 is not None:
        sb3_noise, theirs, modules = same_by_sb3
        before = [{k: v.clone() for k, v in m.state_dict().items()} for m in (actor, *critics, target_actor, *target_critics)]
        update(sb3_noise)
        apart = max(float((a - b).detach().abs().max()) for mine, their in zip((actor, *critics, target_actor, *target_critics), theirs)
                    for a, b in zip(mine.parameters(), their))
        assert apart < 1e-14, apart
        document["same_as_stable_baselines3"] = modules
        for module, state in zip((actor, *critics, target_actor, *target_critics), before):
            module.load_state_dict(state)

    target, loss, critic_gradients, actor_loss, (actor_gradient,) = update(noise)
    case |= {"target": target.tolist(), "critic_loss": float(loss), "actor_loss": float(actor_loss),
             "actor_gradient": actor_gradient, "actor_after": stored(actor), "target_actor_after": stored(target_actor)}
    for k in (0, 1):
        case |= {f"critic{k + 1}_gradient": critic_gradients[k], f"critic{k + 1}_after": stored(critics[k]),
                 f"target{k + 1}_after": stored(target_critics[k])}
    return document | {"cases": [case]}


def sb3_td3(actor, critics, target_actor, target_critics, batch, gamma, tau, lr):
    """Noise, parameters after one TD3.train of Stable-Baselines3, its version; None where it is not installed."""
    try:
        import gymnasium
        import stable_baselines3
        from stable_baselines3.common.type_aliases import ReplayBufferSamples
    except ImportError:
        return None

    class Nothing(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-9, 9, (3,), numpy.float64)
        action_space = gymnasium.spaces.Box(-1, 1, (2,), numpy.float64)

    model = stable_baselines3.TD3("MlpPolicy", Nothing(), gamma=gamma, tau=tau, learning_rate=lr, policy_delay=1,
                                  target_policy_noise=0.2, target_noise_clip=0.3, policy_kwargs={"net_arch": [HIDDEN, HIDDEN]})
    model.policy.double()
    stable_baselines3.common.policies.preprocess_obs = lambda observations, *_, **__: observations  # not to float
    theirs = [model.actor.mu, *model.critic.q_networks, model.actor_target.mu, *model.critic_target.q_networks]
    for to, of in zip(theirs, (actor, *critics, target_actor, *target_critics)):
        with torch.no_grad():
            for a, b in zip(to.parameters(), of.parameters(), strict=True):
                a.copy_(b)
    column = lambda values: values.double()[:, None]
    model.replay_buffer.sample = lambda *_, **__: ReplayBufferSamples(
        batch["obs"], batch["action"], batch["next_obs"], column(batch["terminated"]), column(batch["reward"]), None)
    model._logger = stable_baselines3.common.logger.configure(None, [])
    state = torch.get_rng_state()
    torch.manual_seed(11)
    noise = batch["action"].clone().normal_(0, 0.2).clamp(-0.3, 0.3)
    torch.manual_seed(11)
    model.train(1, ROWS)
    torch.set_rng_state(state)
    return noise, [[p.detach().clone() for p in module.parameters()] for module in theirs], stable_baselines3.__version__


def discrete_sac(seed):
    torch.manual_seed(seed)
    gamma, tau, lr, log_alpha, target_entropy, actions = 0.98, 0.005, 1e-3, torch.tensor([-0.7]), 0.6, 4
    actor, critics = network(3, actions), [network(3, actions), network(3, actions)]
    targets = copies(critics)
    document = {"actor": stored(actor)}
    for k in (0, 1):
        document |= {f"critic{k + 1}": stored(critics[k]), f"target{k + 1}": stored(targets[k])}
    batch = transitions(3, torch.randint(actions, (ROWS,)))
    case = {"gamma": gamma, "tau": tau, "lr": lr, "log_alpha": float(log_alpha), "target_entropy": target_entropy, **listed(batch)}
    alpha = float(log_alpha.exp())
    with torch.no_grad():
        log_p = torch.log_softmax(actor(batch["next_obs"]), 1)
        smaller = torch.min(targets[0](batch["next_obs"]), targets[1](batch["next_obs"]))
        value = (log_p.exp() * (smaller - alpha * log_p)).sum(1)
        target = batch["reward"] + gamma * ~batch["terminated"] * value
    q = [critic(batch["obs"]).gather(1, batch["action"][:, None])[:, 0] for critic in critics]
    loss = 0.5 * sum(((values - target) ** 2).mean() for values in q)
    critic_gradients = adam_step(critics, loss, lr)
    log_p = torch.log_softmax(actor(batch["obs"]), 1)
    with torch.no_grad():
        smaller = torch.min(critics[0](batch["obs"]), critics[1](batch["obs"]))
    entropy = -(log_p.exp() * log_p).sum(1).mean()
    actor_loss = (log_p.exp() * (alpha * log_p - smaller)).sum(1).mean()
    (actor_gradient,) = adam_step([actor], actor_loss, lr)
    log_alpha.requires_grad_()
    adam = torch.optim.Adam([log_alpha], lr=lr)
    # Descent on alpha's logarithm: less entropy than wanted makes it larger.
    (-log_alpha * (target_entropy - entropy.detach())).backward()
    adam.step()
    follow(critics, targets, tau)
    case |= {"target": target.tolist(), "critic_loss": float(loss.detach()), "actor_loss": float(actor_loss.detach()),
             "entropy": float(entropy.detach()), "actor_gradient": actor_gradient, "actor_after": stored(actor),
             "log_alpha_after": log_alpha.tolist()}
    for k in (0, 1):
        case |= {f"critic{k + 1}_gradient": critic_gradients[k], f"critic{k + 1}_after": stored(critics[k]),
                 f"target{k + 1}_after": stored(targets[k])}
    return document | {"cases": [case]}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    versions = {"numpy": numpy.__version__, "torch": torch.__version__}
    for name, made in (("update_td3", td3(3)), ("update_discrete_sac", discrete_sac(4))):
        (folder / f"{name}.json").write_text(json.dumps(versions | made) + "\n")
        print(f"{name}.json: {made.get('same_as_stable_baselines3') and 'the same as Stable-Baselines3 ' + made['same_as_stable_baselines3'] or 'PyTorch alone'}")


if __name__ == "__main__":
    main()
