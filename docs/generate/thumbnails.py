"""The small pictures of the map of the lessons, from the pictures that are saved in them.

python docs/generate/thumbnails.py writes nbs/tutorials/*.jpg."""
import base64, io, json
from pathlib import Path

from PIL import Image, ImageOps

LESSONS = Path(__file__).resolve().parents[2]/'nbs'/'tutorials'
SHOWN = { # lesson -> how the title of the picture begins, and the part of it to show: left, top, right, bottom
    '1-black-box': ('Five classification images', (.17, .1, 1, 1)), '2-zeroth-order': ('Gradient quality in the generator', (0, 0, .82, 1)),
    '3-recovery': ('What the API takes for', (.36, .1, .8, 1)), '4-boundary': ('Two readable images', (.04, .08, .4, 1)),
    '5-meta-learning': ('A task of the exam', (0, .1, 1, 1)), '6-your-own-api': ('What the first API knows', (.05, .1, .5, 1)),
    '7-what-an-api-reveals': ('From an R to an 8', (0, 0, .72, 1)), '8-your-own-task': ('Examples, and new digits', (0, .05, .7, .6))}
SIZE = 240, 150

def picture(lesson, title):
    "The saved picture whose title begins so"
    cells = json.loads((LESSONS/f'{lesson}.ipynb').read_text(encoding='utf-8'))['cells']
    shown = [o['data'] for c in cells for o in c.get('outputs', ()) if 'image/png' in o.get('data', {})]
    [found] = [o for o in shown if ''.join(o['text/plain']).startswith(title)]
    return Image.open(io.BytesIO(base64.b64decode(''.join(found['image/png'])))).convert('RGBA')

def thumbnail(image, part):
    "A part of a picture, on white, in the size of the map"
    whole = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')
    cut = whole.crop([round(v*whole.size[i % 2]) for i, v in enumerate(part)])
    return ImageOps.fit(cut, SIZE)

if __name__ == '__main__':
    for lesson, (title, part) in SHOWN.items(): thumbnail(picture(lesson, title), part).save(LESSONS/f'{lesson}.jpg', quality=82, optimize=True)
