"""A fifth of the APIs answers at random or is systematically wrong: what that does to what is learned, and what testing the APIs first does about it.

python benchmarks/untrusted.py [--data glyphs] prints a table and writes results/untrusted.json."""
import argparse
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import torch

from bidf_mkd.api import Api
from bidf_mkd.demo import plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, load_tensors, seeded
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

TRUST = 32 # procedural images that an API is tested with

def random_answers(honest, seed):
    "Another sure answer each time"
    g = torch.Generator().manual_seed(seed)
    return lambda x: torch.rand(len(x), honest.way, generator=g).mul(20).softmax(1)

def random_but_consistent(honest, seed):
    "A sure answer that has nothing to do with the image, but is always the same for it"
    def of(image): return torch.rand(honest.way, generator=torch.Generator().manual_seed(crc32(image.numpy().tobytes()))).mul(20).softmax(0)
    return lambda x: torch.stack([of(o) for o in x])

def swapped(honest, seed):
    "Answers like an honest API whose classes are called by each other's names"
    return lambda x: honest(x).roll(1, 1)

def systematically_wrong(honest, seed):
    "It says most of the class that it believes in least: consistent, and never right"
    return lambda x: (1 - honest(x))/(honest.way - 1)

CASES = { # bad APIs; images that all are tested with
    'honest APIs alone': ((), (0,)),
    'random, and random but consistent': ((random_answers, random_but_consistent), (0, TRUST)),
    'swapped, and systematically wrong': ((swapped, systematically_wrong), (0,))} # what is consistent passes every test

def learned(name, folder, episodes, seed=0, honest=8, bad=2):
    "Meta-test accuracy with and without a test of the APIs; gains are paired with the honest APIs alone"
    d, plan = domain(name), plan_for(name, seed, apis=honest)
    zoo, (x, y, names) = Zoo(folder/f'{name}_untrusted'), d.load('meta_test')
    list(zoo.build(scenario('ss', [d], honest + bad, seed=seed), {d.name: d.load('meta_train')}, plan.api_steps))
    tasks, first = {s: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names) for s in (1, 5)}, {}
    for case, (rogues, trusts) in CASES.items():
        for n in trusts:
            model, apis = seeded(seed, conv4, 5, *d.shape[:2]), [zoo.api(i) for i in range(honest + len(rogues))]
            for i, rogue in enumerate(rogues, honest): apis[i] = Api(rogue(zoo.api(i), i), apis[i].classes, apis[i].shape)
            cfg = replace(plan.cfg, trust_images=n, budget=plan.cfg.budget*len(apis)/honest)
            path = zoo.path/f"{case.replace(' ', '-')}-{n}.checkpoint"
            for _ in meta_train(model, apis, cfg, path): pass
            out = load_tensors(path, 'run')[1]['left_out'] # also those of a run that was done before
            print(*out.values(), sep='\n')
            for shot, t in tasks.items():
                for (classifier, transductive), s in evaluate_all(model, t, [('prototype', True), ('finetune_blank', True)]).items():
                    gain, ci95 = paired(s, first.setdefault((shot, classifier), s))
                    row = dict(dataset=name, case=case, bad=len(rogues), apis=len(apis), trust_images=n, left_out=len(out), way=5, shot=shot,
                               classifier=classifier, transductive=transductive, mean=100*s.mean, ci95=100*s.ci95, gain=100*gain, gain_ci95=100*ci95,
                               n=episodes, seed=seed, n_queries=sum(a.n_queries for a in apis), n_queries_bad=sum(a.n_queries for a in apis[honest:]))
                    print('{case:18} tested with {trust_images:2} images: {left_out} left out   {shot}-shot {classifier:10} {mean:5.1f} ± {ci95:.1f}   '
                          '{gain:+5.1f} ± {gain_ci95:.1f}   {n_queries:9,} queries, {n_queries_bad:,} of them to bad APIs'.format(**row), flush=True)
                    yield row

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs'])
    p.add_argument('--episodes', type=int, default=600, help='meta-test tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    write('untrusted', [r for name in args.data for r in learned(name, args.folder, args.episodes)])

if __name__ == '__main__': main()
