"""The curves of docs/results.md and of the lesson on meta-learning, from what the benchmarks have written.

python docs/generate/figures.py draws them. A file bears the digest of the numbers that it shows."""
import hashlib, json
from statistics import mean

import matplotlib
from matplotlib import pyplot as plt
from results import LEARNED, ROOT, grouped, heading, only, read

STYLE = {'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True, 'grid.alpha': .3, 'svg.hashsalt': 'bidf_mkd',
         'svg.fonttype': 'none', 'figure.facecolor': 'white', 'legend.frameon': False}

PARTS = { # what recipes differ in -> those that are compared with `readable`
    ('glyphs', 'what is trained'): ['generator, 8x8 cosines', 'luminance', 'free colours', 'pixels', 'latents of a decoder', 'sketch'],
    ('glyphs', 'along which directions'): ['two-tone, 16x16 cosines', 'two-tone, 4x4 cosines', 'two-tone, sphere', 'generator, 8x8 cosines',
                                           'generator, 4x4 cosines', 'generator, sphere'],
    ('glyphs', 'for which loss, in how many steps'): ['two-tone, temperature 4', 'two-tone, two APIs agree', 'readable, 98 steps',
                                                      'readable, 98 steps, temperature 4', 'cheapest', 'true gradients, no black box'],
    ('glyphs', 'what an API reveals'): ['readable, one digit', 'one digit, settings as for all digits', 'readable, labels alone',
                                        'labels alone, settings as for all digits', 'labels alone, eight times the price'],
    ('cifar_fs', 'what is trained, or bred'): ['evolution, 9 generations', 'best of 4,000 procedural images', 'these, refined', 'generator, 8x8 cosines',
                                               'generator, 4x4 cosines', 'luminance', 'pixels', 'latents of a decoder', 'cheapest', 'paper'],
    ('cifar_fs', 'what an API reveals'): ['readable, one digit', 'readable, labels alone']}

def readable():
    "What the open judge names against queries per image: panel -> method -> points"
    def points(rows):
        prices = [list(at) for _, at in grouped(list(rows), 'price')]
        return sorted((mean(r['queries_per_image'] for r in at), 100*mean(r['judge_top1'] for r in at)) for at in prices)
    lines = {key: points(own) for key, own in grouped(read('recovery')['rows'], 'dataset', 'recipe')}
    if other := lines.keys() - {(d, m) for (d, _), methods in PARTS.items() for m in ('readable', *methods)}: raise ValueError(f'no panel shows {other}')
    return {f'{heading(d)}, {part}: images that the open judge names (%)': {m: lines[d, m] for m in ('readable', *methods) if (d, m) in lines}
            for (d, part), methods in PARTS.items()}

def learning():
    "Accuracy with one image per class against queries in all: panel -> method -> points, of one seed, for what has three budgets or more, or needs none"
    panels = {}
    for (dataset, size, head), own in grouped(only(read('learning')['rows'], split='meta_test', shot=1, seed=0), 'dataset', 'size', 'classifier'):
        lines = {method: sorted((r['n_queries'], r['mean']) for r in some) for (method,), some in grouped(list(own), 'method')}
        shown = {m: points for m, points in lines.items() if len(points) > 2 or not points[0][0]}
        if head not in LEARNED or len(max(lines.values(), key=len)) < 3: continue
        panels[f'{heading(dataset)}, {size}x{size}: accuracy by {LEARNED[head]}, 1-shot (%)'] = shown
    return panels

FIGURES = { # place -> what it shows, and against what
    ROOT/'docs'/'readable.svg': (readable, 'queries per image'), ROOT/'nbs'/'tutorials'/'learning.svg': (learning, 'queries to all APIs')}

def digest(panels): return hashlib.sha256(json.dumps(panels).encode()).hexdigest()[:16]

def draw(panels, across, path):
    "A panel for each title, with a line for each method, in the same colour in all panels, against what goes `across`"
    strong, dull = (matplotlib.colormaps[name].colors for name in ('tab20', 'tab20b'))
    methods = dict.fromkeys(method for lines in panels.values() for method in lines)
    colours = dict(zip(methods, strong[::2] + strong[1::2] + dull[::2], strict=False))
    with matplotlib.rc_context(STYLE):
        fig, axes = plt.subplots(len(panels), 1, figsize=(7.5, 3*len(panels)), squeeze=False, layout='constrained')
        for ax, (title, lines) in zip(axes[:,0], panels.items()):
            for method, points in lines.items():
                if points[0][0]: ax.plot(*zip(*points), marker='o', ms=3, lw=1.4, label=method, color=colours[method])
                else: ax.axhline(points[0][1], ls='--', lw=1, label=method, color='grey') # it takes no queries
            ax.set(xscale='log', xlabel=across, ylim=(0, None))
            ax.set_title(title, loc='left', fontsize=9)
            ax.xaxis.set_major_formatter(lambda v, _: f'{v:,.0f}')
            ax.xaxis.set_minor_formatter(lambda v, _: '')
            ax.legend(loc='center left', bbox_to_anchor=(1, .5), fontsize=8)
        fig.savefig(path, metadata=dict(Date=None, Description=f'numbers {digest(panels)}'))
        plt.close(fig)

if __name__ == '__main__':
    for path, (shown, across) in FIGURES.items(): draw(shown(), across, path)
