"""The defaults on a folder of images of another size and channel count: 28x28 grey characters, made here, through the command.

python benchmarks/folder.py [--out DIR] makes the data set, runs the demo on it, and writes results/folder.json."""
import argparse
from pathlib import Path

from PIL import Image

from bidf_mkd.cli import main as command
from bidf_mkd.data import draw, glyph_classes

HERE = Path(__file__).parent

def make(root, size=28, per_class=60):
    "A class-folder tree of grey characters, one file an image, unless it is there; its path"
    part = root.with_name(f'{root.name}.part')
    if root.exists(): return root
    for split, classes in glyph_classes().items():
        for i, c in enumerate(classes):
            folder = part/split/f'{split.removeprefix("meta_")}{i:03}'
            folder.mkdir(parents=True, exist_ok=True)
            for j, image in enumerate(draw(c, per_class, size, channels=1, seed=7)): Image.fromarray(image[0].numpy()).save(folder/f'{j:03}.png')
    return part.rename(root)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--out', type=Path, default=HERE/'work'/'folder')
    out = p.parse_args().out
    make(out/'grey28')
    code = command(['demo', '--dataset', str(out/'grey28'), '--size', '28', '--channels', '1', '--apis', '8', '--episodes', '200',
                    '-p', 'flip', 'False', '--out', str(out/'demo')])
    if code: raise SystemExit(code)
    (HERE/'results').mkdir(exist_ok=True)
    (HERE/'results'/'folder.json').write_text((out/'demo'/'results.json').read_text(encoding='utf-8'), encoding='utf-8')

if __name__ == '__main__': main()
