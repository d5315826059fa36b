"""The curves of docs/results.md, from what the benchmarks have written.

python docs/generate/figures.py draws them into docs/. Each file bears the digest of the numbers that it shows."""
import hashlib, json
from pathlib import Path
from statistics import mean

import matplotlib
from matplotlib import pyplot as plt
from results import DATA, grouped, only, read

DOCS = Path(__file__).resolve().parents[1]
STYLE = {'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True, 'grid.alpha': .3, 'svg.hashsalt': 'bidf_mkd',
         'svg.fonttype': 'none', 'figure.facecolor': 'white', 'legend.frameon': False}

def digest(lines): return hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:16]

def readable():
    "What the open judge reads against queries per image: panel -> method -> points"
    return {f'{DATA[d]}: images that the open judge names (%)': {recipe: sorted((mean(r['queries_per_image'] for r in at), 100*mean(r['judge_top1'] for r in at))
                for at in ([*some] for _, some in grouped(list(own), 'price'))) for (recipe,), own in grouped(list(rows), 'recipe')}
            for (d,), rows in grouped(read('recovery')['rows'], 'dataset')}

def learning():
    "Accuracy after learning against the budget: panel -> recipe -> points"
    rows = only(read('learning')['rows'], classifier='prototype')
    return {f'{DATA[d]}, {shot}-shot accuracy by prototypes (%)': {recipe: sorted((b, mean(r['mean'] for r in at)) for (b,), at in grouped(list(own), 'budget'))
                for (recipe,), own in grouped(list(some), 'recipe')}
            for (d, shot), some in grouped(rows, 'dataset', 'shot')}

FIGURES = dict(readable=(readable, 'queries per image'), learning=(learning, 'queries in all'))

def draw(name, folder=DOCS):
    "A figure with a panel for each title, and a line for each method"
    panels, (_, x_title) = FIGURES[name][0](), FIGURES[name]
    with matplotlib.rc_context(STYLE):
        fig, axes = plt.subplots(len(panels), 1, figsize=(7, 3.4*len(panels)), squeeze=False, layout='constrained')
        for ax, (title, lines) in zip(axes[:,0], panels.items()):
            colours = matplotlib.colormaps['tab20'].colors
            for i, (method, points) in enumerate(lines.items()): ax.plot(*zip(*points), marker='o', ms=3, lw=1.4, label=method, color=colours[(2*i)%20 + (2*i)//20])
            ax.set(xscale='log', xlabel=x_title)
            ax.set_title(title, loc='left', fontsize=9)
            ax.xaxis.set_major_formatter(lambda v, _: f'{v:,.0f}')
            ax.legend(loc='center left', bbox_to_anchor=(1, .5), fontsize=7.5)
        fig.savefig(folder/f'{name}.svg', metadata=dict(Date=None, Description=f'numbers {digest(panels)}'))
        plt.close(fig)

if __name__ == '__main__':
    for name in FIGURES: draw(name)
