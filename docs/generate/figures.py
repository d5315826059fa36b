"""The curves of docs/results.md, from what the benchmarks have written.

python docs/generate/figures.py draws them into docs/. The file bears the digest of the numbers that it shows."""
import hashlib, json
from pathlib import Path
from statistics import mean

import matplotlib
from matplotlib import pyplot as plt
from results import DATA, grouped, read

DOCS = Path(__file__).resolve().parents[1]
STYLE = {'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True, 'grid.alpha': .3, 'svg.hashsalt': 'bidf_mkd',
         'svg.fonttype': 'none', 'figure.facecolor': 'white', 'legend.frameon': False}

def readable():
    "What the open judge names against queries per image: panel -> method -> points"
    def points(rows):
        prices = [list(at) for _, at in grouped(list(rows), 'price')]
        return sorted((mean(r['queries_per_image'] for r in at), 100*mean(r['judge_top1'] for r in at)) for at in prices)
    return {f'{DATA[d]}: images that the open judge names (%)': {recipe: points(own) for (recipe,), own in grouped(list(rows), 'recipe')}
            for (d,), rows in grouped(read('recovery')['rows'], 'dataset')}

def digest(panels): return hashlib.sha256(json.dumps(panels).encode()).hexdigest()[:16]

def draw(panels, path):
    "A panel for each title, with a line for each method, against queries per image"
    with matplotlib.rc_context(STYLE):
        fig, axes = plt.subplots(len(panels), 1, figsize=(7.5, 3*len(panels)), squeeze=False, layout='constrained')
        for ax, (title, lines) in zip(axes[:,0], panels.items()):
            for (method, points), colour in zip(lines.items(), matplotlib.colormaps['tab20'].colors[::2] + matplotlib.colormaps['tab20'].colors[1::2]):
                ax.plot(*zip(*points), marker='o', ms=3, lw=1.4, label=method, color=colour)
            ax.set(xscale='log', xlabel='queries per image', ylim=(0, None))
            ax.set_title(title, loc='left', fontsize=9)
            ax.xaxis.set_major_formatter(lambda v, _: f'{v:,.0f}')
            ax.legend(loc='center left', bbox_to_anchor=(1, .5), fontsize=8)
        fig.savefig(path, metadata=dict(Date=None, Description=f'numbers {digest(panels)}'))
        plt.close(fig)

if __name__ == '__main__': draw(readable(), DOCS/'readable.svg')
