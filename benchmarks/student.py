"""What a meta model learns from answers before any recovery, by what makes the difference: the images that the APIs are asked about, its network, and whether
the answers that it predicts are part of its features. And what the answers of the APIs themselves would be worth as features, which nobody could pay for.

python benchmarks/student.py [--data cifar_fs] [--seeds 0] [--steps 1500] [--images procedural real] [--arch conv4 conv4-64 conv4-32-64-128-256] prints
accuracies on tasks of meta-val and writes results/student.json (all other rows stay in it). Interrupted, it goes on where it was: what is measured is kept
with the APIs."""
import argparse, itertools, json, time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from accuracy import asked_about
from bidf_mkd.batch import write_json
from bidf_mkd.data import Episodes, as_float, domain
from bidf_mkd.demo import plan_for
from bidf_mkd.evaluation import Scores, evaluate_all, paired
from bidf_mkd.models import Classifier, architecture, calibrate, keep_memory, seeded
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

PROTOCOLS = ('prototype', True), ('prototype', False), ('transductive', True)
REAL = 2000 # images of meta-val on which a model is compared with the APIs
ASKED = 'APIs themselves'
KEY = 'dataset', 'seed', 'images', 'arch', 'features', 'steps'

class Asked(nn.Module):
    "The answers of APIs as features: square roots, see `bidf_mkd.models.Answers`"
    def __init__(self, apis):
        super().__init__()
        self.apis = apis

    def forward(self, x): return torch.cat([api(x) for api in self.apis], 1).sqrt()

@torch.no_grad()
def divergence(model, apis, x):
    "Mean KL divergence from the APIs on real images, in nats"
    calibrate(model, x)
    predicted = torch.cat([model.answers.log_probs(model.backbone[0](o)) for o in x.split(200)])
    answers = torch.cat([api(x) for api in apis], 1)
    return nn.functional.kl_div(predicted, answers, reduction='sum').item()/len(x)/len(apis)

def scores(model, tasks):
    "Accuracy on each task, by shot, classifier and statistics"
    return [[s, *p, v.acc.tolist()] for s, t in tasks.items() for p, v in evaluate_all(model, t, PROTOCOLS).items()]

def taught(apis, cfg, arch, start, tasks, x):
    "A model after pre-distillation: its divergence from the APIs on images `x`, and for each kind of features its scores"
    model, begun = seeded(cfg.seed, architecture(arch), 5, *apis[0].shape[:2]), time.perf_counter()
    for r in start(model, apis, cfg, None):
        if r['kind'] not in ('budget', 'procedural_queries', 'pre_distillation'): break
    seconds, own = time.perf_counter() - begun, Classifier(model.backbone[0], nn.Identity())
    found = {features: scores(o, tasks) for features, o in {'its own': own, 'with predicted answers': model}.items()}
    return dict(seconds=seconds, divergence=divergence(model, apis, x), scores=found)

def kept(path, make):
    "What is in a file, or what is made and written there"
    if not path.exists(): write_json(path, make())
    return json.loads(path.read_text())

def measure(name, seed, steps, images, archs, folder, episodes):
    "Rows for each cell; gains are paired with those of the first network, asked about the first kind of images, by its own features"
    d, plan = domain(name), plan_for(name, seed)
    cfg, (x, y, names), real = replace(plan.cfg, joint_steps=steps, answers=True), d.load('meta_val'), d.load('meta_train')
    zoo = Zoo(folder/f'accuracy_ss_{name}_{seed}_{plan.apis}')
    list(zoo.build(scenario('ss', [d], plan.apis, seed=seed), {name: real}, plan.api_steps))
    apis = [zoo.api(i) for i in range(plan.apis)]
    tasks = {s: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names) for s in (1, 5)}
    mixed = as_float(real[0][torch.randperm(len(real[0]), generator=torch.Generator().manual_seed(seed))[:cfg.procedural]])
    starts, some = dict(procedural=meta_train, real=asked_about(mixed)), as_float(x[::max(1, len(x)//REAL)])
    def cell(kind, arch):
        if kind == ASKED: return dict(seconds=0., divergence=0., scores={ASKED: scores(Classifier(Asked(apis), nn.Identity()), tasks)})
        return taught(apis, cfg, arch, starts[kind], tasks, some)
    first = {}
    for kind, arch in [*itertools.product(images, archs), (ASKED, ASKED)]:
        made = kept(zoo.path/f'student {kind} {arch} {steps} {episodes}.json'.replace(' ', '-'), lambda: cell(kind, arch))
        for features, found in made.pop('scores').items():
            rows = []
            for shot, classifier, transductive, acc in found:
                v = Scores(torch.tensor(acc))
                gain, gain_ci95 = (100*o for o in paired(v, first.setdefault((shot, classifier, transductive), v)))
                rows.append(dict(dataset=name, seed=seed, images=kind, arch=arch, features=features, steps=steps, shot=shot, classifier=classifier, n=episodes,
                                 transductive=transductive, mean=100*v.mean, ci95=100*v.ci95, gain=gain, gain_ci95=gain_ci95) | made)
            told = (f"{r['mean']:.1f} ({r['gain']:+.1f} ± {r['gain_ci95']:.1f})" for r in rows)
            print(f'{name} seed {seed} {kind:15} {arch:20} {features:22}', *told, flush=True)
            write('student', rows, KEY)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['cifar_fs'])
    p.add_argument('--seeds', nargs='+', type=int, default=[0])
    p.add_argument('--steps', type=int, default=1500, help='of joint distillation')
    p.add_argument('--images', nargs='+', default=['procedural', 'real'], choices=['procedural', 'real'])
    p.add_argument('--arch', nargs='+', default=['conv4', 'conv4-64', 'conv4-32-64-128-256'])
    p.add_argument('--episodes', type=int, default=300, help='meta-val tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    for name, seed in itertools.product(args.data, args.seeds): measure(name, seed, args.steps, args.images, args.arch, args.folder, args.episodes)

if __name__ == '__main__': main()
