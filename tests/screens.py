"""Pictures of the explorers in JupyterLab, light and dark, in windows 1280 and 1920 wide.

python tests/screens.py FOLDER saves all of them there as PNG files, or those that are named after it; --docs renews docs/*.jpg, the pictures of the README."""
import argparse, tempfile
from pathlib import Path

import nbformat
from PIL import Image

from browser import chromium_running, errors, in_kernel, open_notebook, run_all, serving, use_theme, visit
from project import NBS, ROOT, read

SETUP = """
import io
import torch
from PIL import Image
from torch.func import functional_call
from bidf_mkd.api import Api
from bidf_mkd.apps import AskExplorer, BoundaryExplorer, EstimatorLab, RecoveryExplorer, TaskExplorer, TrainingMonitor
from bidf_mkd.apps.training import exam_row
from bidf_mkd.data import Episodes, draw
from bidf_mkd.distillation import adapt, kd_loss
from bidf_mkd.models import conv4, seeded
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train
from bidf_mkd.zoo import classify, fit

def classifier(seed, names, steps):
    x, y = torch.cat([draw(c, 60, seed=seed) for c in names]), torch.arange(5).repeat_interleave(60)
    return fit(seeded(seed, conv4, 5), x, y, steps=steps)
names = list('RЖΣ8ω')
secret = classifier(0, names, 60)
def black_box(budget=50_000): return Api(classify(secret), names, (3, 32, 32), budget)
support, net, api = torch.cat([draw(c, 3, seed=2) for c in names])/255, classifier(1, names, 8), black_box()
p = api(support)
params = adapt(net, lambda w: kd_loss(functional_call(net, w, (support,)), p), .01, 10)
params = {k: v.detach() for k, v in params.items()}
def png(x):
    Image.fromarray(x.movedim(0, -1).numpy()).save(file := io.BytesIO(), 'png')
    return file.getvalue()
new, meta = 'ÄΦ3ЯÑ', conv4(5)
episodes = Episodes(torch.cat([draw(c, 20) for c in new]), torch.arange(5).repeat_interleave(20), n=30)
apis = [black_box(), Api(classify(classifier(3, 'Ψb4Qß', 60)), 'Ψb4Qß', (3, 32, 32), 20_000)]
memory, cfg = Memory(), Config(procedural=300, images=5, query=3, joint_steps=200, replay_steps=10, final_steps=40, flip=False, budget=10_000)
"""
APPS = dict(
    recovery=('RecoveryExplorer(black_box())', 'it.run(), it.wait()'),
    boundary=('BoundaryExplorer(api, lambda x: functional_call(net, params, (x,)), support)',
              "it.map_plane(), it.wait(), it.run(), it.wait(), it.walk(), it.wait(), it.pick('boundary query', 0)"),
    estimator=('EstimatorLab(black_box(), secret)', "[(it.settings['q'].set_trait('value', q), it.run(), it.wait()) for q in (2, 4, 16)]"),
    ask=('AskExplorer(black_box(), lambda x: functional_call(net, params, (x,)))', "[(it.add([('a.png', png(x))]), it.ask()) for c in 'RЖΣ8ωQ' "
         'for x in draw(c, 1, seed=7)]'),
    training=('TrainingMonitor(lambda: meta_train(meta, apis, cfg, memory=memory), memory, cfg.budget, lambda: exam_row(meta, episodes))',
              'it.run(), it.wait()'),
    task=('TaskExplorer(secret, names)', "[(it.choose(c), it.add([('a.png', png(x)) for x in draw(c, 5, seed=2)])) for c in names], it.choose(''), "
          "it.add([('new.png', png(x)) for c in names for x in draw(c, 2, seed=9)])"))

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('folder', type=Path)
    p.add_argument('names', nargs='*', default=list(APPS))
    p.add_argument('--docs', action='store_true')
    args = p.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    apps = {name: APPS[name] for name in args.names}
    cells = [nbformat.v4.new_code_cell(o) for o in (SETUP.strip(), *(f'{name} = {make}; {name}' for name, (make, _) in apps.items()))]
    with tempfile.TemporaryDirectory() as d, serving(Path(d)) as lab, chromium_running() as chromium:
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=read(NBS/'index.ipynb').metadata), lab.folder/'screens.ipynb')
        page = visit(chromium)
        open_notebook(page, lab, 'screens')
        page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        run_all(page)
        for name, (_, do) in apps.items(): in_kernel(page, f'str([None for it in [{name}] if ({do})])')
        for dark in False, True:
            use_theme(page, dark)
            for width in 1280, 1920:
                page.set_viewport_size(dict(width=width, height=1400))
                page.wait_for_timeout(2000) # figures draw themselves anew
                for i, name in enumerate(apps, 1):
                    at = page.locator('.jp-Cell').nth(i).locator('.bidf-explorer')
                    at.scroll_into_view_if_needed()
                    at.screenshot(path=args.folder/f'{name}-{"dark" if dark else "light"}-{width}.png')
        assert not errors(page), errors(page)
    for name in apps if args.docs else ():
        picture = Image.open(args.folder/f'{name}-light-1920.png').convert('RGB')
        left, top, right, bottom = Image.eval(picture.convert('L'), lambda v: 255*(v < 250)).getbbox()
        picture.crop((left, top, right + 8, bottom + 8)).save(ROOT/'docs'/f'{name}.jpg', quality=80, optimize=True)

if __name__ == '__main__': main()
