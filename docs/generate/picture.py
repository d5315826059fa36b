"""The picture of the README, from what a demo has written: two sheets of recovered images, and the accuracies before and after learning.

python docs/generate/picture.py DEMO_FOLDER makes docs/demo.jpg"""
import io, json, sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

PICTURE = Path(__file__).resolve().parents[1]/'demo.jpg'
WIDTH, GAP = 1320, 24

def accuracies(results):
    "A chart of the accuracies of each method, with intervals"
    rows, figure = results['rows'], Figure((WIDTH/110, 4.6), dpi=110, layout='constrained')
    axes = figure.add_subplot()
    def protocol(r): return f"{r['shot']}-shot\n{r['classifier']}\n{'transductive' if r['transductive'] else 'inductive'}"
    places = {p: i for i, p in enumerate(sorted(dict.fromkeys(map(protocol, rows))))}
    for i, (method, colour, marker) in enumerate(zip(dict.fromkeys(r['method'] for r in rows), ('#0072B2', '#D55E00', '#009E73', '#CC79A7'), 'osD^')):
        own = [r for r in rows if r['method'] == method]
        axes.errorbar([places[protocol(r)] + .12*i for r in own], [r['mean'] for r in own], [r['ci95'] for r in own], fmt=marker, color=colour, capsize=3,
                      label=method)
    axes.axhline(100/rows[0]['way'], color='#595959', linestyle='--', label='chance')
    axes.set(title=f"{results['dataset']}, {results['n_queries']:,} queries", ylabel='accuracy (%)', ylim=(0, 100), xticks=list(places.values()))
    axes.set_xticklabels(places)
    axes.grid(axis='y', color='#dddddd')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='lower right', ncols=3, frameon=False)
    file = io.BytesIO()
    figure.savefig(file)
    return Image.open(file).convert('RGB')

def picture(demo):
    "Two sheets of recovered images above the chart"
    chart = accuracies(json.loads((demo/'results.json').read_text(encoding='utf-8')))
    sheets = [Image.open(p).convert('RGB') for p in sorted((demo/'recovered').glob('*.png'))[:2]]
    out = Image.new('RGB', (chart.width, sheets[0].height + GAP + chart.height), 'white')
    for i, sheet in enumerate(sheets): out.paste(sheet.crop((0, 0, min(sheet.width, (chart.width - GAP)//2), sheet.height)), (i*(chart.width + GAP)//2, 0))
    out.paste(chart, (0, sheets[0].height + GAP))
    return out

if __name__ == '__main__': picture(Path(sys.argv[1])).save(PICTURE, quality=85, optimize=True)
