"The page of results, from what the benchmarks have written."
import json
from itertools import groupby
from pathlib import Path

RESULTS = Path(__file__).parents[1]/'benchmarks'/'results'

SCENARIOS = dict(
    ss='API-SS: one data set, one architecture', sh='API-SH: one data set, several architectures', mh='API-MH: several data sets and architectures')

ACCURACY = """Accuracy in percent on tasks of the test split, with 95% intervals over the tasks; all methods on the same tasks, from the same first weights
of a conv4 and the same APIs. *Ours less it* is the paired difference for the prototype classifier, 1-shot and 5-shot. Batch statistics are those of the
query images (transductive, the paper's protocol); the file has inductive rows, too. Queries are images sent, seconds those of
learning, on one thread with other work beside it. API-SH and API-MH are at a small scale: 6 APIs, 1,000 drawn images, at most 30,000
queries, and a part of the training.

- *paper's method*: its estimator and no drawn images, at the same budget, on smaller sets than the paper's, whose own take more for a single visit
- *drawn images alone*: ours until the first recovery
- *single best API*: ours with the one API that is best on images held out
- *without meta-learning*: ours without bi-level distillation, replay and prototypes"""

ABLATION = """The whole method, and by how much it changes without a part, or with another in its place: the same APIs, seed and tasks, differences paired, with
95% intervals over the tasks (not over seeds: each line is one run). Tasks are of the validation split, on which settings were chosen. Settings are
those of the demo, but with 4 APIs, 1,000 drawn images, for photographs a small part of the steps, and for characters no prototypes, which have a line
of their own. *First order* leaves second derivatives out of bi-level distillation and replay. Seconds are with other work beside it, and pauses for
it."""

SPEED = """Ours against loops that one writes first: one task or direction at a time, through autograd, in PyTorch's default layout, ReLU before pooling,
upsampling before convolution, batches normalised and then scaled. Both in one process that keeps its memory, medians of runs in turns. Before, both
are compared in float64: the largest relative differences were {agreement}. The plain loop of evaluation is that of training; *without a graph*, one
that keeps no graph for second derivatives, as ours; *fused*, that with PyTorch's own batch normalisation, too. What first order costs in accuracy
is in the table above."""

SCALE = """A step of a recovery with a generator, and all APIs asked about 500 drawn images with 20 steps of distilling their answers; each in a process
of its own, whose peak memory includes some 900 MB of Python and PyTorch."""

MISSING = """No GPU was at hand. On one, these measure what is not here: `python benchmarks/speed.py --device cuda`, and the paper's setting at full size,
`bidf-mkd run bidf_mkd -f paper_ss` (100 APIs, 60,000 meta-steps; `paper_sh` and `paper_mh` likewise)."""

def table(rows, **columns):
    "A table in Markdown: a function row -> cell for each title"
    lines = [columns, ['---']*len(columns), *([f(r) for f in columns.values()] for r in rows)]
    return '\n'.join(f'| {" | ".join(map(str, cells))} |' for cells in lines)

def read(name): return json.loads((RESULTS/f'{name}.json').read_text(encoding='utf-8'))

def hardware(results): return f'*{results["hardware"]}, PyTorch {results["versions"]["torch"]}*'

def grouped(rows, *keys):
    def key(r): return tuple(r[k] for k in keys)
    return groupby(sorted(rows, key=key), key)

def by_method(rows, shown, **more):
    "A table with a line for each method; `shown` makes a cell of a row, and each of `more` one of a method"
    cells = {(r['method'], r['shot'], r['classifier']): r for r in rows}
    def measured(*at): return lambda m: shown(cells[(m, *at)])
    def costs(key): return lambda m: f'{cells[m, 1, "prototype"][key]:,.0f}'
    return table(dict.fromkeys(r['method'] for r in rows), method=str, **{f'{c}, {s}-shot': measured(s, c) for c in ('prototype', 'finetune') for s in (1, 5)},
                 **more, queries=costs('n_queries'), seconds=costs('seconds')) + '\n'

def accuracies(rows):
    "A table for each scenario and data set"
    for (_, scenario, dataset), own in grouped([r | dict(order=list(SCENARIOS).index(r['scenario'])) for r in rows], 'order', 'scenario', 'dataset'):
        own = [r for r in own if r['transductive']]
        def behind(m):
            both = (r for r in own if r['method'] == m != 'ours' and r['classifier'] == 'prototype')
            return ', '.join('{behind:+.1f} ± {behind_ci95:.1f}'.format(**r) for r in both)
        yield f'### {SCENARIOS[scenario]}: {dataset}\n\n{own[0]["n"]} tasks each, seed {own[0]["seed"]}.\n'
        yield by_method(own, '{0[mean]:.1f} ± {0[ci95]:.1f}'.format, **{'ours less it': behind})

def ablations(rows):
    "A table for each data set"
    for (dataset,), own in grouped(rows, 'dataset'):
        own = list(own)
        def shown(r): return ('{mean:.1f} ± {ci95:.1f}' if r['method'] == own[0]['method'] else '{gain:+.1f} ± {gain_ci95:.1f}').format(**r)
        yield f'### {dataset}\n\n{own[0]["n"]} tasks each, seed {own[0]["seed"]}.\n'
        yield by_method(own, shown)

def speeds(rows):
    for (device, threads), own in grouped(rows, 'device', 'threads'):
        yield f'### {device}, {threads} thread{"s"*(threads > 1)}\n'
        yield table(own, **{
            'what': lambda r: r['name'] + f' ({r["ours"]})'*(r['ours'] != 'ours'), 'shot': lambda r: r['shot'] or '',
            'plain (s)': lambda r: f'{r["plain_seconds"]:.3f}', 'ours (s)': lambda r: f'{r["ours_seconds"]:.3f}',
            'times faster': lambda r: f'{r["ratio"]:.2f}'}) + '\n'

def scales(rows):
    for kind, own in grouped(rows, 'kind'):
        settings = {k: lambda r, k=k: r[k] for k in ('kind', 'arch', 'size', 'images', 'q', 'apis')}
        yield table(own, **settings, queries=lambda r: f'{r["n_queries"]:,}', seconds=lambda r: f'{r["seconds"]:.2f}',
                    **{'peak MB': lambda r: f'{r["peak_mb"]:,.0f}'}) + '\n'

def as_markdown():
    accuracy, ablation, speed, scale = (read(o) for o in ('accuracy', 'ablation', 'speed', 'scale'))
    agreement = ', '.join(f'{v:.0e} ({k})' for k, v in speed['rows'][0]['agreement'].items())
    sections = (('What is learned', ACCURACY, accuracy, accuracies), ('What the parts are worth', ABLATION, ablation, ablations),
                ('Speed', SPEED.format(agreement=agreement), speed, speeds), ('Scale', SCALE, scale, scales))
    parts = ['# Results\n', 'As measured, by the programs in `benchmarks/`. The overview has more: what an image costs, what APIs reveal, bad APIs.\n']
    for title, text, results, tables in sections: parts += [f'## {title}\n', text + '\n', hardware(results) + '\n', *tables(results['rows'])]
    return '\n'.join([*parts, '## What could not be run here\n', MISSING, ''])
