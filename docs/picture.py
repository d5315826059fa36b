"python docs/picture.py DEMO_FOLDER: make docs/demo.jpg, the picture of the README, from what a demo left behind"
import io, json, sys
from pathlib import Path

from PIL import Image

from bidf_mkd import viz

demo = Path(sys.argv[1])
results = json.loads((demo/'results.json').read_text(encoding='utf-8'))
still = viz.still(viz.accuracies(results['rows'], f"{results['dataset']}, {results['n_queries']:,} queries"))
if not still: sys.exit('a still picture needs kaleido and chromium')
table = Image.open(io.BytesIO(still[1])).convert('RGB')
table = table.resize((table.width*3//4, table.height*3//4), Image.LANCZOS)
sheets = [Image.open(p).convert('RGB') for p in sorted((demo/'recovered').glob('*.png'))]
picture = Image.new('RGB', (table.width, table.height + sheets[0].height + 24), 'white')
picture.paste(table, (0, sheets[0].height + 24))
for i in range(2):
    left = i*(table.width + 24)//2
    picture.paste(sheets[i].crop((0, 0, min(sheets[i].width, table.width//2 - 12), sheets[i].height)), (left, 0))
picture.save(Path(__file__).parent/'demo.jpg', quality=85, optimize=True)
