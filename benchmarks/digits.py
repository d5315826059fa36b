"""A new task for the model of a demo: scikit-learn's handwritten digits, 8x8 pixels enlarged, ten ways, five examples each, 60 tasks.

python benchmarks/digits.py DEMO prints the table and writes results/digits.json. DEMO is the folder of `bidf-mkd demo`; no API is asked. The same network
trained on the real characters, with all labels, is the ceiling; it takes a minute more."""
import argparse, json
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from accuracy import with_labels
from bidf_mkd.data import Episodes, glyphs
from bidf_mkd.demo import versions
from bidf_mkd.evaluation import QUERIES, evaluate_all, paired
from bidf_mkd.fewshot import FewShotClassifier, as_images
from bidf_mkd.models import conv4, keep_memory, seeded

HERE = Path(__file__).parent
PROTOCOLS = ('prototype', False), ('whitened', False), ('finetune', False), ('transductive', True)
TOGETHER = ('prototype', True), ('transductive', True)  # with unbalanced queries, too

def enlarged(images, size):
    "Digits by bicubic interpolation, and a margin around them"
    x = F.interpolate(torch.from_numpy(images)[:,None], size=size, mode='bicubic').clamp(0, 1)
    return F.pad(x, [(32 - size)//2]*4).expand(-1, 3, -1, -1).contiguous()

def tasks():
    "For each way to show digits (8x8 pixels, bright on dark), and to mix the queries: 60 tasks, and how they are classified"
    digits = load_digits()
    x = (digits.images/16).astype('float32')
    shown = {'as they are': as_images(x, (3, 32, 32)), 'dark on bright': as_images(1 - x, (3, 32, 32)), 'with a margin': enlarged(x, 28)}
    episodes = lambda how, queries: Episodes(shown[how], torch.from_numpy(digits.target), way=10, shot=5, query=15, n=60, dirichlet=QUERIES[queries])
    for how in shown: yield how, 'balanced', episodes(how, 'balanced'), PROTOCOLS if how == 'as they are' else PROTOCOLS[:2]
    yield 'as they are', 'unbalanced', episodes('as they are', 'unbalanced'), TOGETHER

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('demo', help='the folder of a demo')
    keep_memory()
    models = {'random initialisation': seeded(0, conv4, 5), 'demo': FewShotClassifier.load(p.parse_args().demo).model}
    models['real characters, all labels'] = with_labels(seeded(0, conv4, 5), *glyphs('meta_train')[:2], steps=300)
    rows, blank = [], {}
    for how, queries, episodes, protocols in tasks():
        for name, model in models.items():
            for (classifier, transductive), s in evaluate_all(model, episodes, protocols).items():
                gain, gain_ci95 = paired(s, blank.setdefault((how, queries, classifier), s))
                rows.append(dict(method=name, shown=how, way=10, shot=5, classifier=classifier, transductive=transductive, queries=queries, n=len(s.acc),
                                 mean=round(100*s.mean, 2), ci95=round(100*s.ci95, 2), gain=round(100*gain, 2), gain_ci95=round(100*gain_ci95, 2)))
                print(f"{how:15} {queries:11} {name:28} {classifier:13} {rows[-1]['mean']:5.1f} ± {rows[-1]['ci95']:.1f}", flush=True)
    (HERE/'results'/'digits.json').write_text(json.dumps(dict(rows=rows, versions=versions()), indent=1) + '\n', encoding='utf-8')

if __name__ == '__main__': main()
