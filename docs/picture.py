"python docs/picture.py DEMO_FOLDER: make docs/demo.png, the picture of the README, from what a demo left behind"
import io, json, sys
from pathlib import Path

from PIL import Image

from bidf_mkd import viz

demo, here = Path(sys.argv[1]), Path(__file__).parent
results = json.loads((demo/'results.json').read_text(encoding='utf-8'))
still = viz.still(viz.accuracies(results['rows'], f"{results['dataset']}, {results['n_queries']:,} queries"), scale=1)
if not still: sys.exit('a still picture needs kaleido and chromium')
table = Image.open(io.BytesIO(still[1])).convert('RGB')
sheet = Image.open(demo/'recovered'/'API-1.png').convert('RGB')
sheet = sheet.crop((0, 0, min(sheet.width, 660), sheet.height))
picture = Image.new('RGB', (max(table.width, sheet.width), table.height + sheet.height + 16), 'white')
picture.paste(sheet, (0, 0))
picture.paste(table, (0, sheet.height + 16))
picture.quantize(128).save(here/'demo.png', optimize=True)
