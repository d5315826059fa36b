"""How fast the inner workings are: ours against plain loops of the same mathematics, in the same process, side by side.

python benchmarks/speed.py [--episodes 600] [--device cpu] [--threads 1] [--only loops steps] prints tables and writes results/speed.json and
results/steps.json. The plain loops are what one writes first: one task, one direction at a time, through autograd, and the network in PyTorch's default
layout, ReLU before pooling, batches normalised and then scaled (exact under every transform; `fused`: by PyTorch's own layer). That both do the same is
checked first, in float64. The steps are those of a recovery: how long one takes, and how much of it the API."""
import argparse, time
from statistics import median

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bidf_mkd.api import Api
from bidf_mkd.data import Episodes, Task, glyphs
from bidf_mkd.distillation import adapt, maml_loss
from bidf_mkd.estimator import zo_grad
from bidf_mkd.evaluation import evaluate
from bidf_mkd.models import UpsampledConv, Generator, conv4, keep_memory, seeded
from bidf_mkd.recovery import SMOOTH, crop_flip, generator, pixels, recover
from bidf_mkd.zoo import classify
from queries import write

LR, INNER, Q, MU = .01, 5, 100, .005
IMAGES = 150    # of a recovery, as in the paper
STEPS = {'100 directions, all pixels': (dict(q=Q, mu=MU), 64), '100 directions, 8x8 cosines': (SMOOTH | dict(q=Q), 64),
         '4 directions, 8x8 cosines': (SMOOTH, 24)} # settings, and the width of the generator

class PlainNorm(nn.BatchNorm2d):
    def forward(self, x):
        if not self.training: return super().forward(x)
        return F.batch_norm(x, None, None, training=True, eps=self.eps)*self.weight[:,None,None] + self.bias[:,None,None]

def plain_model(seed, norm=PlainNorm):
    "The network `conv4` with the same weights, as it is usually written"
    model = seeded(seed, conv4, 5)
    for i in range(4):
        conv, own, pool, relu = model.backbone[i]
        model.backbone[i] = nn.Sequential(conv, norm(own.num_features), relu, pool)
    model.backbone._forward_pre_hooks.clear()
    return model

def plain_adapt(model, task, steps, second_order=True):
    params = dict(model.named_parameters())
    for _ in range(steps):
        loss = F.cross_entropy(functional_call(model, params, (task.xs,)), task.ys)
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=second_order)
        params = {k: p - LR*g for (k, p), g in zip(params.items(), grads)}
    return params

def plain_meta(model, task, second_order=True):
    return F.cross_entropy(functional_call(model, plain_adapt(model, task, INNER, second_order), (task.xq,)), task.yq)

def plain_evaluation(model, tasks, graph, steps=10):
    hits = []
    for t in tasks:
        params = plain_adapt(model, t, steps, graph)
        with torch.no_grad(): hits.append((functional_call(model, params, (t.xq,)).argmax(1) == t.yq).float().mean())
    return torch.stack(hits)

def plain_gradient(loss, x, q, mu, g):
    "One direction at a time"
    base, total = loss(x), torch.zeros_like(x)
    for _ in range(q):
        u = torch.randn(x.shape, generator=g, dtype=x.dtype, device=x.device)
        u = u/u.flatten(1).norm(dim=1)[:,None,None,None]
        total += (loss(x + mu*u) - base)[:,None,None,None]*u
    return total*x[0].numel()/(q*mu)

def plain_generator():
    "The network `Generator` with the same weights, as it is usually written"
    net = seeded(0, Generator, 32, 3, 256, 64).to(memory_format=torch.contiguous_format)
    for i, layer in enumerate(net):
        if isinstance(layer, UpsampledConv):
            layer.forward = super(UpsampledConv, layer).forward
            net[i] = nn.Sequential(nn.Upsample(scale_factor=2), layer)
    return net

def plain_recovery(model, labels, steps):
    g = torch.Generator(labels.device).manual_seed(0)
    net = plain_generator().to(labels.device)
    z = torch.randn(len(labels), 256, generator=g, device=labels.device, requires_grad=True)
    opt = torch.optim.Adam([*net.parameters(), z], 1e-3, betas=(.5, .999))
    @torch.no_grad()
    def loss(x): return F.cross_entropy(model(x), labels, reduction='none')
    for _ in range(steps):
        x = crop_flip(net(z), g)
        grad = plain_gradient(loss, x.detach(), Q, MU, g)/len(labels)
        opt.zero_grad(); x.backward(grad); opt.step()

def agreement(device):
    "The largest relative differences between ours and the plain loops, in float64"
    model, g = seeded(0, conv4, 5).double().to(device), torch.Generator(device).manual_seed(0)
    same = plain_model(0).double().to(device)
    def rand(*s): return torch.rand(*s, generator=g, dtype=torch.float64, device=device)
    y = torch.arange(5, device=device)
    task = Task(rand(5, 3, 32, 32), y, rand(25, 3, 32, 32), y.repeat(5))
    def divergence(a, b): return (max((u - v).abs().max() for u, v in zip(a, b))/max(v.abs().max() for v in b)).item()
    def grads(loss, m): return torch.autograd.grad(loss, list(m.parameters()))
    out = {}
    for name, first in (('second order', False), ('first order', True)):
        ours, theirs = maml_loss(model, task, LR, INNER, first)[0], plain_meta(same, task, not first)
        out[f'meta-loss, {name}'] = divergence([ours], [theirs])
        out[f'meta-gradient, {name}'] = divergence(grads(ours, model), grads(theirs, same))
    x = rand(4, 3, 32, 32)
    def loss(x): return F.cross_entropy(same(x), y[:1].expand(len(x)), reduction='none')
    same.eval()
    source = lambda: torch.Generator(device).manual_seed(1)
    z = torch.randn(6, 256, generator=g, dtype=torch.float64, device=device)
    with torch.no_grad():
        out['generator'] = divergence([seeded(0, Generator, 32, 3, 256, 64).double().to(device)(z)], [plain_generator().double().to(device)(z)])
        out['estimated gradient'] = divergence([zo_grad(loss, x, Q, MU, generator=source())], [plain_gradient(loss, x, Q, MU, source())])
    return out

def seconds(pairs, repeats, device):
    "Median seconds of each function, taken in turns"
    times = {k: [] for k in pairs}
    def timed(f):
        begun = time.perf_counter()
        f()
        if device != 'cpu': torch.cuda.synchronize()
        return time.perf_counter() - begun
    for f in pairs.values(): timed(f)
    for _ in range(repeats):
        for k, f in pairs.items(): times[k].append(timed(f))
    return {k: median(v) for k, v in times.items()}

def measure(device, episodes, repeats):
    "Rows: plain and ours, in seconds, and how many times faster ours is"
    model, same, fused = seeded(0, conv4, 5).to(device), plain_model(0).to(device), plain_model(0, nn.BatchNorm2d).to(device)
    x, y, names = glyphs('meta_val', per_class=30)
    tasks = {s: list(Episodes(x.to(device), y.to(device), shot=s, n=n, seed=0, names=names)) for s, n in ((1, episodes), (5, max(4, episodes//10)))}
    labels = torch.arange(5, device=device).repeat_interleave(6)
    closed, opened = classify(seeded(1, conv4, 5).to(device)), plain_model(1).to(device).eval()
    pool = torch.rand(3000, 3, 32, 32, device=device)

    def row(name, repeats, shot=None, **pairs):
        times = seconds(pairs, repeats, device)
        for ours in list(pairs)[1:]:
            plain = next(iter(pairs))
            r = dict(dataset='glyphs', name=name, shot=shot, plain=plain, ours=ours, plain_seconds=times[plain], ours_seconds=times[ours],
                     ratio=times[plain]/times[ours], device=device, threads=torch.get_num_threads())
            print('{name:26} shot {shot!s:4} {plain:6} {plain_seconds:8.4f} s   {ours:12} {ours_seconds:8.4f} s   {ratio:5.2f} times faster'.format(**r),
                  flush=True)
            yield r

    def ours_recovery():
        for _ in recover(Api(closed, 'abcde', (3, 32, 32)), labels, steps=10, q=Q, mu=MU): pass
    yield from row('3,000 queries', repeats, plain=torch.inference_mode()(lambda: opened(pool).softmax(1)), ours=lambda: closed(pool))
    yield from row('recovery, 10 steps, q=100', 3, plain=lambda: plain_recovery(opened, labels, 10), ours=ours_recovery)
    for shot, t in tasks.items():
        def ours_adapt(): return adapt(model, lambda p: F.cross_entropy(functional_call(model, p, (t[0].xs,)), t[0].ys), LR, INNER)
        yield from row('adapt', repeats, shot, plain=lambda: plain_adapt(same, t[0], INNER), ours=ours_adapt)
        def ours_meta(first): return [maml_loss(model, o, LR, INNER, first)[0].backward() for o in t[:4]]
        yield from row('meta-step, 4 tasks', repeats, shot, plain=lambda: [plain_meta(same, o).backward() for o in t[:4]],
                       **{'second order': lambda: ours_meta(False), 'first order': lambda: ours_meta(True)})
        yield from row('the same, first order', repeats, shot, plain=lambda: [plain_meta(same, o, False).backward() for o in t[:4]],
                       ours=lambda: ours_meta(True))
        n = 1 if len(t) > 100 else 3
        yield from row(f'evaluation, {len(t)} episodes', n, shot, plain=lambda: plain_evaluation(same, t, True), ours=lambda: evaluate(model, t))
        yield from row('the same, without a graph', n, shot, plain=lambda: plain_evaluation(same, t, False), ours=lambda: evaluate(model, t))
        yield from row('the same, fused', n, shot, plain=lambda: plain_evaluation(fused, t, False), ours=lambda: evaluate(model, t))

def beyond_the_api(device, repeats):
    "Rows: seconds of a step, and of the API's answers in it, where the estimator moves pixels and where it trains a generator, too"
    answer, labels, spent = classify(seeded(1, conv4, 5).to(device)), torch.arange(5, device=device).repeat_interleave(IMAGES//5), [0.]
    def timed(x):
        begun = time.perf_counter()
        try: return answer(x).cpu().to(device) # waits for a GPU
        finally: spent[0] += time.perf_counter() - begun
    for name, (settings, ngf) in STEPS.items():
        for what, trained in {'pixels': pixels(), f'a generator {ngf} wide': generator(ngf=ngf)}.items():
            steps = recover(Api(timed, 'abcde', (3, 32, 32)), labels, steps=repeats+1, parametrisation=trained, **settings)
            marks = [(time.perf_counter(), spent[0]) for _ in steps]
            whole, api = (median(b - a for a, b in zip(m, m[1:])) for m in zip(*marks))
            print(f'{name:28} {what:20} {whole:6.3f} s a step, of which the API {api:6.3f} s: {100*(whole/api - 1):4.0f}% beyond it', flush=True)
            yield dict(name=name, trained=what, images=IMAGES, api_seconds=api, step_seconds=whole, beyond=whole/api - 1, device=device,
                       threads=torch.get_num_threads())

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--device', default='cpu')
    p.add_argument('--episodes', type=int, default=600)
    p.add_argument('--repeats', type=int, default=7)
    p.add_argument('--threads', type=int, default=torch.get_num_threads())
    p.add_argument('--only', nargs='+', choices=['loops', 'steps'], default=['loops', 'steps'])
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()   # for both
    divergence = agreement(args.device)
    for name, v in divergence.items(): print(f'{name:32} ours and the plain loop differ by {v:.1e}, relatively')
    assert max(divergence.values()) < 1e-9, divergence
    if 'loops' in args.only:
        rows = list(measure(args.device, args.episodes, args.repeats))
        write('speed', [r | dict(agreement=divergence) for r in rows], ('device', 'threads'))
    if 'steps' in args.only: write('steps', list(beyond_the_api(args.device, args.repeats)), ('device', 'threads'))

if __name__ == '__main__': main()
