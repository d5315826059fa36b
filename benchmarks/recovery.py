"""How readable recovered images are, by an open judge of all the training classes of a data set, against queries per image: recipes, parametrisations and
directions, on APIs that no setting was chosen on.

python benchmarks/recovery.py [--data glyphs] [--apis 5] [--seeds 3] [--methods readable ...] writes results/recovery.json after each method
(rows of methods that were not asked for stay in it) and prints a table."""
import argparse, itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from PIL import Image

from bidf_mkd import viz
from bidf_mkd.api import Api
from bidf_mkd.data import as_float, domain
from bidf_mkd.demo import plan_for
from bidf_mkd.estimator import dct, low_frequency, sphere
from bidf_mkd.judge import train_judge
from bidf_mkd.procedural import fit_decoder, procedural
from bidf_mkd.recovery import (LITTLE_TOLD, RECIPES, SMOOTH, Recovery, evolve, free_colours, generator, in_views, joint, known_loss, latents, luminance, pixels,
                               readable_recipe, recover, select_procedural, tempered)
from bidf_mkd.recovery.sketch import sketch
from bidf_mkd.zoo import Zoo, scenario
from queries import write

HERE = Path(__file__).parent
ZOO_SEED = 101      # the settings of the recipes were chosen on the APIs of seed 11
IMAGES = 3          # per class
PRICES = 100, 200, 500, 1000, 2000, 3000, 20_200    # queries per image at which images are read
READABLE = RECIPES['readable']

def revealing(api, policy):
    "The API behind an output policy"
    return Api(api, api.classes, api.shape, reveals=policy)

@cache
def decoder(shape):
    "A generator that has learned to make procedural images, which takes no query"
    return fit_decoder(as_float(procedural(4000, shape[0], shape[1:])))

def decoded(images, seed, g):
    "A parametrisation: the latent vectors of this generator"
    return latents(decoder(tuple(images.shape[1:])), 64)(images, seed, g)

def with_true_gradients(net, labels, seed):
    "What `readable` would recover if the API were no black box: the same steps with the gradients of its network. Takes no query"
    g = torch.Generator().manual_seed(seed)
    own = READABLE['parametrisation'](torch.zeros(len(labels), *net.shape), seed, g)
    opt, rows = torch.optim.Adam(own.weights, own.lr, betas=(.5, .999)), torch.arange(len(labels))
    for _ in range(READABLE['steps']):
        v, render = own.sample(rows, g)
        loss = torch.nn.functional.cross_entropy(net(render(v)), labels)
        opt.zero_grad(); loss.backward(inputs=own.weights); opt.step()
    with torch.no_grad():
        v, render = own.sample(rows, None)
        x = render(v)
        p = net(x).softmax(1)
        return Recovery(x, labels, p, known_loss(x, p, labels), 0, READABLE['steps'])

def methods(dataset, flip):
    """Settings of `recover`, by name; where there are none, they are found by the API's answers; None: `with_true_gradients`. `asked` makes the API that is
    asked of the one to invert and of another one with the same classes"""
    plain = dict(parametrisation=generator(ngf=24, flip=flip), steps=400)
    one_digit, labels = (dict(asked=lambda api, _, told=told: revealing(api, told)) for told in ('digits_1', 'label_only'))
    both = dict(readable={}, cheapest=RECIPES['cheapest'], paper=RECIPES['paper'] | dict(parametrisation=generator(flip=flip))) | {
        'readable, one digit': one_digit,
        'readable, labels alone': labels,
        'generator, 8x8 cosines': plain | SMOOTH,
        'generator, 4x4 cosines': plain | SMOOTH | dict(directions=low_frequency(4, dct)),
        'generator, sphere': plain | SMOOTH | dict(directions=sphere),
        'pixels': plain | SMOOTH | dict(parametrisation=pixels()),
        'latents of a decoder': plain | dict(q=4, mu=1., directions=low_frequency(1), parametrisation=decoded),
        'luminance': plain | SMOOTH | dict(parametrisation=luminance(flip=flip)),
        'free colours': READABLE | dict(parametrisation=free_colours())}
    if dataset == 'glyphs': return both | {
        'true gradients, no black box': None,
        'readable, 98 steps': READABLE | dict(steps=98, lr=3e-3),
        'readable, 98 steps, temperature 4': READABLE | dict(steps=98, asked=lambda api, _: tempered(api, 4.)), # as in the report of a demo
        'two-tone, 4x4 cosines': READABLE | dict(directions=low_frequency(4, dct)),
        'two-tone, 16x16 cosines': READABLE | dict(directions=low_frequency(16, dct)),
        'two-tone, sphere': READABLE | dict(directions=sphere),
        'two-tone, temperature 4': READABLE | dict(asked=lambda api, _: tempered(api, 4.)),
        'two-tone, four views at once': READABLE | dict(steps=147, asked=lambda api, _: in_views(api, 4)),
        'two-tone, two APIs agree': READABLE | dict(steps=295, asked=lambda api, other: joint([api, other])),
        'one digit, settings as for all digits': READABLE | one_digit,
        'labels alone, settings as for all digits': READABLE | labels,
        'labels alone, eight times the price': READABLE | LITTLE_TOLD['label_only']['readable'] | dict(steps=1190, lr=2e-3) | labels,
        'sketch': dict(start=sketch(), steps=0)}
    return both | {
        'evolution, 9 generations': dict(start=evolve(2000, first=16, generations=9, children=16, views=1, keep=12), steps=0),
        'evolution, two APIs agree': dict(start=evolve(2000, generations=20), steps=0, asked=lambda api, other: joint([api, other])),
        'evolution, one view': dict(start=evolve(first=96, children=60, views=1), steps=0),
        'best of 4,000 procedural images': dict(start=select_procedural(4000), steps=0),
        'these, refined': dict(start=select_procedural(4000), steps=200, lr=.05, parametrisation=pixels(), **SMOOTH | dict(directions=low_frequency(4, dct)))}

def measure(judge, api, other, net, settings, seed):
    "A row for each price that the recovery passes, and one for its end"
    labels = torch.arange(api.way).repeat_interleave(IMAGES)
    names, due = [api.classes[k] for k in labels], list(PRICES)
    def row(r):
        reading = judge.read(r.images, names)
        return dict(queries_per_image=(pilot + r.n_queries)/len(labels), loss=r.loss.mean().item(), judge_top1=reading.top(), judge_top5=reading.top(5),
                    judge_rank=reading.rank.median().item(), judge_real_accuracy=judge.real.top(), diversity=judge.diversity(r.images, labels))
    def records():
        if settings is None: return [with_true_gradients(net, labels, seed)]
        asked, own = settings.get('asked', lambda api, _: api)(api, other), {k: v for k, v in settings.items() if k != 'asked'}
        return recover(asked, labels, seed=seed, **(own or readable_recipe(asked, seed=seed)))
    before, recovered = None, records()
    pilot = api.n_queries
    for r in recovered:
        if before and due and pilot + r.n_queries > due[0]*len(labels): # the last one that this price pays for
            yield row(before) | dict(price=due[0])
            due = [p for p in due if pilot + r.n_queries <= p*len(labels)]
        before = r
    yield row(r) | dict(price=None)

def picture(d, zoo):
    "Cheapest and readable images: a row for each class, the first two APIs side by side; before them a real image, where these may be shown"
    x, y, names = d.load('meta_train')
    def sheet(api):
        labels = torch.arange(api.way).repeat_interleave(IMAGES)
        real = torch.stack([as_float(x[(y == names.index(c)).nonzero()[0,0]]) for c in api.classes])[:,None]
        made = [list(recover(api, labels, **o))[-1].images.unflatten(0, (api.way, IMAGES)) for o in (RECIPES['cheapest'], readable_recipe(api))]
        return torch.cat([o for part in ([real]*(d.name == 'glyphs') + made) for o in (part, torch.ones_like(part[:,:1]))][:-1], 1)
    both = torch.cat([sheet(zoo.api(0)), torch.ones(5, 2, *d.shape), sheet(zoo.api(1))], 1)
    sheet = viz.sheet_image(both.flatten(0, 1), columns=both.shape[1])
    out = Image.new('RGB', sheet.size, 'white')
    out.paste(sheet, mask=sheet)
    return out

def table(rows):
    "Means over APIs and seeds"
    line = '{:9} {:26} {:>9} {:>9} {:>6} {:>6} {:>6} {:>7} {:>6} {:>10}'.format
    print('\n' + line('data', 'method', 'price', 'queries', 'runs', 'top-1', 'top-5', 'rank', 'loss', 'diversity'))
    for key in dict.fromkeys((r['dataset'], r['recipe'], r['price']) for r in rows):
        mine = [r for r in rows if (r['dataset'], r['recipe'], r['price']) == key]
        mean = lambda k: sum(r[k] for r in mine)/len(mine)
        print(line(key[0], key[1], str(key[2] or 'end'), f"{mean('queries_per_image'):,.0f}", len(mine), f"{mean('judge_top1'):.0%}",
                   f"{mean('judge_top5'):.0%}", f"{mean('judge_rank'):.1f}", f"{mean('loss'):.3f}", f"{mean('diversity'):.3f}"))

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs'])
    p.add_argument('--apis', type=int, default=5)
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--methods', nargs='+')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs and the judges are kept')
    p.add_argument('--picture', type=Path, help='write a picture of real, cheapest and readable images of the first two APIs here')
    args = p.parse_args()
    rows = []
    for name in args.data:
        d, plan = domain(name), plan_for(name)
        judge, zoo = train_judge(d, args.folder/f'{name}_judge'), Zoo(args.folder/f'{name}_recovery')
        print(f'{name}: the judge names real images: {judge.real}', flush=True)
        specs, data, others = scenario('ss', [d], args.apis, seed=ZOO_SEED), {d.name: d.load('meta_train')}, Zoo(args.folder/f'{name}_recovery_others')
        list(zoo.build(specs, data, plan.api_steps))
        list(others.build([replace(s, seed=s.seed + 500) for s in specs], data, plan.api_steps))
        for method, settings in methods(name, plan.cfg.flip).items():
            if args.methods and method not in args.methods: continue
            new = []
            for i, seed in itertools.product(range(args.apis), range(args.seeds)):
                own = measure(judge, zoo.api(i), others.api(i), zoo.model(i), settings, seed)
                new += [dict(dataset=name, recipe=method, api=i, seed=seed) | r for r in own]
                print(new[-1], flush=True)
            write('recovery', new, ('dataset', 'recipe'))
            rows += new
        if args.picture: picture(d, zoo).save(args.picture, quality=90, optimize=True)
    table(rows)

if __name__ == '__main__': main()
