"""The tables of docs/results.md, from what the benchmarks have written. The text around them is written there by hand.

python docs/generate/results.py puts today's tables into the page; the site always has today's."""
import json, re
from itertools import groupby
from math import hypot, inf
from pathlib import Path
from statistics import mean, median, stdev
from textwrap import fill

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS = ROOT/'docs'/'results.md', ROOT/'benchmarks'/'results'

DATA = dict(cifar_fs='CIFAR-FS', glyphs='characters')
SPLITS = dict(meta_val='the validation split', meta_test='the test split')
SCENARIOS = dict(
    ss='API-SS: one data set, one architecture', sh='API-SH: one data set, several architectures', mh='API-MH: several data sets and architectures')
METHODS = {   # how images are recovered
    "paper's estimator": "the paper's estimator, generator from scratch", '8x8 blocks, q=16': '8x8 blocks, q=16, generator from scratch',
    'ours': 'starts selected from 250 procedural images, then refined'}
STARVED = "the paper's method, starved"   # with a twentieth of the queries of one visit, or fewer
POLICIES = {
    'probabilities': 'all probabilities', '3 digits': 'rounded to 3 digits', '1 digit': 'rounded to 1 digit', 'label only': 'label only',
    'best class and its probability': 'the best class and its probability', '8-bit images': 'all probabilities of 8-bit images'}

# tables

def heading(dataset): return DATA[dataset][0].upper() + DATA[dataset][1:]

def table(rows, **columns):
    "A table in Markdown: a function row -> cell for each title"
    lines = [columns, ['---']*len(columns), *([f(r) for f in columns.values()] for r in rows)]
    return '\n'.join(f'| {" | ".join(map(str, cells))} |' for cells in lines)

def read(name): return json.loads((RESULTS/f'{name}.json').read_text(encoding='utf-8'))

def hardware(results): return f'*{results["hardware"]}, PyTorch {results["versions"]["torch"]}*'.replace(' 1 threads', ' 1 thread')

def grouped(rows, *keys):
    "Rows by the values of `keys`, in the order in which these come first"
    def key(r): return tuple(r[k] for k in keys)
    order = list(dict.fromkeys(map(key, rows)))
    return groupby(sorted(rows, key=lambda r: order.index(key(r))), key)

def only(rows, **wanted): return [r for r in rows if all(r.get(k) == v for k, v in wanted.items())]

PLUS_MINUS = '\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}'

def interval(r, key='mean'): return f'{r[key]:.1f}{PLUS_MINUS}{r["ci95" if key == "mean" else f"{key}_ci95"]:.1f}'

def difference(r, key='gain'): return f'{r[key]:+.1f}{PLUS_MINUS}{r[f"{key}_ci95"]:.1f}'

T = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26} # quantiles of Student's t, by the number of seeds

def over_seeds(values, form='+.1f'):
    "Pairs (value, interval over tasks) of some seeds: their mean, with the interval over seeds; of one seed, that over tasks; two seeds side by side"
    means = [v for v, _ in values]
    if len(means) == 2: return ' and '.join(f'{v:{form}}' for v in means)
    half = T[len(means)]*stdev(means)/len(means)**.5 if len(means) > 1 else values[0][1]
    return f'{mean(means):{form}}{PLUS_MINUS}{half:.1f}'

def method_name(m): return STARVED if m == "paper's method" else m

def statistics(r): return ('transductive' if r['transductive'] else 'inductive') + ', unbalanced queries'*(r.get('queries') == 'unbalanced')

def count(n): return f'{n:,.0f}'

def protocols(rows):
    "A table of all protocols: before, after, and the paired gain"
    return table(rows, shot=lambda r: r['shot'], classifier=lambda r: r['classifier'], **{'batch statistics': statistics,
        'random initialisation': lambda r: interval(r, 'before'), 'bidf_mkd': interval, 'gain': difference})

def with_before(rows, first, last):
    "Rows of the method `last`, with what `first` has in the same protocol"
    def key(r): return r['shot'], r['classifier'], statistics(r)
    before = {key(r): r for r in only(rows, method=first)}
    return [r | dict(before=before[key(r)]['mean'], before_ci95=before[key(r)]['ci95']) for r in only(rows, method=last)]

def by_method(rows, cell):
    "A table with a line for each method; `cell` makes a cell of a row"
    cells = {(r['method'], r['shot'], r['classifier']): r for r in rows}
    def measured(*at): return lambda m: cell(cells[(m, *at)])
    def costs(key): return lambda m: count(cells[m, 1, 'prototype'][key])
    accuracies = {f'{c}, {s}-shot': measured(s, c) for c in ('prototype', 'finetune_blank') for s in (1, 5)}
    return table(dict.fromkeys(r['method'] for r in rows), method=method_name, **accuracies, queries=costs('n_queries'), seconds=costs('seconds'))

# what is learned

def demo():
    results = read('demo')
    yield f'*PyTorch {results["versions"]["torch"]}, {sum(results["seconds"].values()):.0f} seconds on two cores*'
    yield protocols(with_before(results['rows'], 'random init', 'bidf_mkd'))

def cifar_fs():
    results = read('accuracy')
    yield hardware(results)
    yield protocols(with_before(only(results['rows'], dataset='cifar_fs', scenario='ss', arch='conv4', seed=0), 'random initialisation', 'ours'))

ORDER = ('random initialisation', "paper's method", 'procedural images alone', 'single best API', 'without meta-learning', 'ours',
         'ours, at most 60,000 queries', 'ours, at most 300,000 queries', 'ours, asked about real images', 'real images with their labels')
HEADS = { # title -> classifier and queries
    **{c: (c, 'balanced') for c in ('prototype', 'finetune', 'transductive')},
    'transductive, unbalanced queries': ('transductive', 'unbalanced'), 'finetune, blank': ('finetune_blank', 'balanced')}

def accuracy():
    "A line for each method; a cell has 1-shot and 5-shot"
    results = read('accuracy')
    yield hardware(results)
    for (scenario, dataset, apis, arch), own in grouped(results['rows'], 'scenario', 'dataset', 'apis', 'arch'):
        cells = {k: list(some) for k, some in grouped(only(own, transductive=True), 'method', 'classifier', 'queries', 'shot')} # a row for each seed
        def both(m, head, key='mean', form='.1f'):
            at = [cells[(m, *HEADS[head], shot)] for shot in (1, 5)]
            return ', '.join(over_seeds([(r[key], r['ci95' if key == 'mean' else f'{key}_ci95']) for r in some], form) for some in at)
        def column(head): return lambda m: both(m, head)
        def behind(m): return both(m, 'prototype', 'ours_minus_method', '+.1f') if m != 'ours' else ''
        def asked(m): return count(mean(r['n_queries'] for r in cells[m, 'prototype', 'balanced', 1]))
        def seeds(m): return len(cells[m, 'prototype', 'balanced', 1])
        yield f'### {SCENARIOS[scenario]}: {DATA[dataset]}, {apis} APIs' + f', meta model {arch}'*(arch != 'conv4')
        yield f'{cells["ours", "prototype", "balanced", 1][0]["n"]} tasks; 1-shot, 5-shot.'
        known = [m for m in ORDER if (m, 'prototype', 'balanced', 1) in cells]
        yield table(known, method=method_name, **{head: column(head) for head in HEADS},
                    **{'ours - method, prototype': behind}, seeds=seeds, queries=asked)

def folder():
    yield protocols(with_before(read('folder')['rows'], 'random init', 'bidf_mkd'))

def digits():
    rows = read('digits')['rows']
    def key(r): return r['shown'], r['classifier'], statistics(r)
    at = {(*key(r), r['method']): r for r in rows}
    def cell(method): return lambda r: interval(at[(*key(r), method)])
    methods = dict.fromkeys(r['method'] for r in rows)
    yield table(only(rows, method='demo'), **{'digits': lambda r: r['shown'], 'head': lambda r: r['classifier'], 'batch statistics': statistics},
                **{m: cell(m) for m in methods})

def budget():
    results = read('queries')
    rows = [r for r in results['rows'] if 'budget' in r]
    yield hardware(results)
    order = 'random initialisation', "paper's method", 'procedural images alone', "ours, the paper's estimator", 'ours'
    for classifier in 'prototype', 'finetune_blank':
        own = only(rows, classifier=classifier)
        at = {(r['dataset'], r['method'], r['shot']): r for r in own}
        columns = dict.fromkeys(r['dataset'] for r in own)
        def cell(dataset, shot):
            return lambda m: interval(at[dataset, m, shot]) if m in order else difference(at[dataset, 'ours', shot])
        def queries(dataset): return lambda m: count(at[dataset, m, 1]['n_queries']) if m in order else ''
        methods = [m for m in order if m in {r['method'] for r in own}]
        yield table([*methods, f'paired difference (ours - {STARVED})'], **{classifier: method_name}, **{title: f for d in columns for title, f in {
            f'queries, {DATA[d]}': queries(d), f'{DATA[d]}, 1-shot': cell(d, 1), f'{DATA[d]}, 5-shot': cell(d, 5)}.items()})

PARTS = { # what is compared with what it lacks
    'replay': ("the paper's method", 'without replay'), 'replay, without boundary query sets': ('without boundary query sets', 'without both'),
    'boundary query sets': ("the paper's method", 'without boundary query sets'), 'boundary query sets, without replay': ('without replay', 'without both'),
    'all of it (against random initialisation)': ("the paper's method", 'random initialisation'),
    "ours (against the paper's method)": ('ours', "the paper's method")}

def paper():
    "Accuracies over seeds (see `over_seeds`); differences are taken seed by seed"
    results = read('paper')
    yield hardware(results)
    for (dataset, size, apis), own in grouped(results['rows'], 'dataset', 'size', 'apis'):
        at = {(r['method'], r['classifier'], r['shot'], r['seed']): r for r in own}
        methods = list(dict.fromkeys(m for m, *_ in at))
        seeds = [s for s in sorted({k[3] for k in at}) if all((m, 'prototype', 1, s) in at for m in methods)]    # those that are complete
        def accuracy(c, shot): return lambda m: over_seeds([(at[m, c, shot, s]['mean'], at[m, c, shot, s]['ci95']) for s in seeds], '.1f')
        def worth(c, shot):
            def cell(part):
                pairs = [[at[m, c, shot, s] for m in PARTS[part]] for s in seeds]
                return over_seeds([(a['mean'] - b['mean'], hypot(a['ci95'], b['ci95'])) for a, b in pairs])
            return cell
        def columns(f): return {f'{c}, {shot}-shot': f(c, shot) for c in ('finetune_blank', 'finetune', 'prototype') for shot in (1, 5)}
        yield f'### {heading(dataset)} of {size}x{size} pixels, {apis} APIs, {len(seeds)} seed' + 's'*(len(seeds) > 1)
        yield table(methods, method=str, **columns(accuracy), queries=lambda m: count(mean(at[m, 'prototype', 1, s]['n_queries'] for s in seeds)))
        yield table(PARTS, **{'what it is worth': str}, **columns(worth))

# what images cost, what APIs reveal, bad APIs

PRICES = 100, 200, 500, 1000, 2000  # queries per image

def readable():
    "What the open judge reads, top-1 and top-5, at each price that was passed and at the end"
    results = read('recovery')
    yield hardware(results)
    for (dataset,), own in grouped(results['rows'], 'dataset'):
        methods = {recipe: list(some) for (recipe,), some in grouped(list(own), 'recipe')}
        def paid(m, price): return [r for r in only(methods[m], price=price) if r['queries_per_image'] <= (price or inf)]
        def average(m, k, price=None): return mean(r[k] for r in paid(m, price))
        def reads(price=None): return lambda m: f'{average(m, "judge_top1", price):.0%}, {average(m, "judge_top5", price):.0%}' if paid(m, price) else ''
        def at_end(k, form): return lambda m: form.format(average(m, k))
        yield table(methods, **{DATA[dataset]: str, 'runs': lambda m: len(only(methods[m], price=None))}, **{f'at {p:,}': reads(p) for p in PRICES}, **{
            'at its end': reads(), 'queries per image': at_end('queries_per_image', '{:,.0f}'), 'median rank': at_end('judge_rank', '{:.1f}'),
            'loss': at_end('loss', '{:.3f}'), 'diversity': at_end('diversity', '{:.2f}')})

LEARNED = dict(prototype='prototypes', finetune_blank='fine-tuning, blank') # heads by which learning is measured

def learning():
    "What is learned for so many queries, and the paired difference from ours with the same budget, over seeds; a table for each split"
    results = read('learning')
    yield hardware(results)
    for (dataset, size, split), own in grouped(results['rows'], 'dataset', 'size', 'split'):
        rows = sorted(((key, list(some)) for key, some in grouped(list(own), 'budget', 'method')), key=lambda r: r[0][0])
        def cell(classifier, shot):
            def text(r):
                some = only(r[1], classifier=classifier, shot=shot)
                behind = [(o['gain'], o['gain_ci95']) for o in some if o['method'] != 'ours' and 'gain' in o] # where ours was measured, too
                return f'{mean(o["mean"] for o in some):.1f}' + (f' ({over_seeds(behind)})' if behind else '')
            return text
        yield f'### {heading(dataset)} of {size}x{size} pixels, {SPLITS[split]}'
        yield table(rows, method=lambda r: r[0][1], queries=lambda r: count(mean(o['n_queries'] for o in r[1])),
            seeds=lambda r: len({o['seed'] for o in r[1]}),
            **{f'{name}, {shot}-shot': cell(c, shot) for c, name in LEARNED.items() for shot in (1, 5)})

def costs():
    results = read('queries')
    yield hardware(results)
    for (dataset,), own in grouped([r for r in results['rows'] if 'queries_to_0.1' in r], 'dataset'):
        own = list(own)
        paper = {(r['api'], r['seed']): r for r in only(own, method="paper's estimator")}
        def middle(m, loss): return median(r[f'queries_to_{loss}'] or float('inf') for r in only(own, method=m))
        def reached(m):
            some, late = only(own, method=m), [r['queries'] for r in only(own, method=m) if r['queries_to_0.1'] is None]
            if not late: return count(middle(m, .1))
            if middle(m, .1) == float('inf'): return f'not within {max(late):,} ({len(late)} of {len(some)})'
            return f'{count(middle(m, .1))} ({len(late)} of {len(some)} not within {max(late):,})'
        def fewer(m):
            if m == "paper's estimator": return 1
            there = [(paper[r['api'], r['seed']], r) for r in only(own, method=m)]
            ratios = [(p['queries_to_0.1'] or p['queries'])/r['queries_to_0.1'] if r['queries_to_0.1'] else 0 for p, r in there]
            least, number = 'at least '*(middle("paper's estimator", .1) == float('inf')), lambda v: f'{v:.1f}' if v < 10 else f'{v:.0f}'
            return least + number(median(ratios)) + f' ({number(min(ratios))})'*(min(ratios) > 0)
        def average(m, key): return mean(r[key] for r in only(own, method=m))
        yield table(METHODS, **{DATA[dataset]: METHODS.get, 'queries to 0.5': lambda m: count(middle(m, .5)), 'queries to 0.1': reached,
            'times fewer (worst)': fewer, 'distance within a class': lambda m: f'{average(m, "diversity"):.2f}',
            'recognised': lambda m: f'{average(m, "recognised"):.0%}'})

def policy(r): return POLICIES[r['policy']] + ', recommended settings'*r['recommended']

def reveals():
    results = read('reveals')
    yield hardware(results)
    recovered = [r for r in results['rows'] if 'recognised' in r]
    cells = {}
    for r in recovered: cells.setdefault((policy(r), r['dataset']), []).append(r)
    columns = {}
    for d in dict.fromkeys(r['dataset'] for r in recovered):
        def average(key, form, d=d): return lambda p: form.format(mean(r[key] for r in cells[p, d]))
        columns |= {f'queries, {DATA[d]}': average('n_queries', '{:,.0f}'), f'true loss, {DATA[d]}': average('loss', '{:.2f}'),
                    f'recognised, {DATA[d]}': average('recognised', '{:.0%}')}
    yield table(dict.fromkeys(p for p, _ in cells), policy=str, **columns)

def learned_from_less():
    rows = [r for r in read('reveals')['rows'] if 'mean' in r]
    at = {(policy(r), r['classifier'], r['shot']): r for r in rows}
    first = policy(rows[0])
    def cell(c, s): return lambda p: interval(at[p, c, s]) + f' ({difference(at[p, c, s])})'*(p != first)
    yield table(dict.fromkeys(map(policy, rows)), **{'what APIs reveal': str, 'queries': lambda p: count(at[p, 'prototype', 1]['n_queries'])},
                **{f'{c}, {s}-shot': cell(c, s) for c in ('prototype', 'finetune_blank') for s in (1, 5)})

def untrusted():
    results = read('untrusted')
    yield hardware(results)
    def name(rows):
        r = rows[0]
        if not r['bad']: return f'the {r["apis"]} honest APIs alone'
        tested = f'tested with {r["trust_images"]} images' if r['trust_images'] else 'not tested'
        return f'and {r["bad"]} ({r["case"]}), {tested}'
    def cell(c, s): return lambda rows: (difference if rows[0]['bad'] else interval)(only(rows, classifier=c, shot=s)[0])
    yield table([list(own) for _, own in grouped(results['rows'], 'case', 'trust_images')], **{
        'APIs': name, 'queries (to the bad ones)': lambda rows: count(rows[0]['n_queries']) + f' ({rows[0]["n_queries_bad"]:,})'*bool(rows[0]['bad'])},
        **{f'{c}, {s}-shot': cell(c, s) for c in ('prototype', 'finetune_blank') for s in (1, 5)})

# the parts, speed, scale

def ablation():
    results = read('ablation')
    yield hardware(results)
    for (dataset,), own in grouped(results['rows'], 'dataset'):
        own = list(own)
        def cell(r): return (interval if r['method'] == own[0]['method'] else difference)(r)
        yield f'### {heading(dataset)}'
        yield f'{own[0]["n"]} tasks, seed {own[0]["seed"]}.'
        yield by_method(own, cell)

def speed():
    results = read('speed')
    yield hardware(results)
    agreement = ', '.join(f'{v:.0e} ({k})' for k, v in results['rows'][0]['agreement'].items())
    yield fill(f'Largest relative differences between the two, in float64: {agreement}.', 156)
    for (device, threads), own in grouped(results['rows'], 'device', 'threads'):
        yield f'### {device.upper()}, {threads} thread{"s"*(threads > 1)}'
        yield table(own, **{
            'what': lambda r: r['name'] + f' ({r["ours"]})'*(r['ours'] != 'ours'), 'shot': lambda r: r['shot'] or '',
            'plain (s)': lambda r: f'{r["plain_seconds"]:.3f}', 'ours (s)': lambda r: f'{r["ours_seconds"]:.3f}',
            'times faster': lambda r: f'{r["ratio"]:.2f}'})

def steps():
    results = read('steps')
    yield hardware(results)
    yield table(results['rows'], **{'the estimator asks for': lambda r: r['name'], 'what is trained': lambda r: r['trained'],
        'the API (s)': lambda r: f'{r["api_seconds"]:.3f}', 'the step (s)': lambda r: f'{r["step_seconds"]:.3f}',
        'beyond the API': lambda r: f'{r["beyond"]:.0%}'})

def medians(rows, *keys):
    "One row for each value of `keys`: medians of all other numbers, and the worst ratio"
    for _, own in grouped(rows, *keys):
        own = list(own)
        yield {k: own[0][k] if k in keys or isinstance(v, str) else median(r[k] for r in own) for k, v in own[0].items()} | dict(
            worst=max(r.get('ratio', 0) for r in own), repeats=len(own))

def http():
    results = read('http')
    yield hardware(results)
    yield table(medians(results['rows'], 'tensors', 'batch'), tensors=lambda r: r['tensors'], **{
        'images per request': lambda r: r['batch'], 'ours (images per second)': lambda r: count(r['ours']),
        'bare (images per second)': lambda r: count(r['bare']), 'times as long as bare': lambda r: f'{r["ratio_to_bare"]:.2f}'})
    several = {k: v for k, v in results['ratios'].items() if 'ours' not in k}
    yield '\n'.join(f'- {k.replace("against", "compared with")}: {v:.1f} times as fast' for k, v in several.items())

def batch():
    results = read('batch')
    yield hardware(results)
    yield table(medians(results['rows'], 'executor'), executor=lambda r: r['executor'], runs=lambda r: count(r['runs']), **{
        'sweep (s)': lambda r: f'{r["seconds"]:.1f}', 'papermill alone (s)': lambda r: f'{r["bare_seconds"]:.1f}',
        'times as long': lambda r: f'{r["ratio"]:.2f}', 'worst': lambda r: f'{r["worst"]:.2f}', 'repeats': lambda r: r['repeats']})

def live():
    results = read('live')
    yield hardware(results)
    yield table(medians(results['rows'], 'q', 'steps'), q=lambda r: r['q'], steps=lambda r: r['steps'], images=lambda r: count(r['images']), **{
        'queries': lambda r: count(r['n_queries']), 'bare loop (s)': lambda r: f'{r["bare_seconds"]:.2f}', 'explorer (s)': lambda r: f'{r["seconds"]:.2f}',
        'times as long': lambda r: f'{r["ratio"]:.2f}', 'worst': lambda r: f'{r["worst"]:.2f}', 'repeats': lambda r: r['repeats']})

def visitors():
    results = read('visitors')
    yield hardware(results)
    alone, ten = (sorted(results[k]) for k in ('seconds_alone', 'seconds_of_ten'))
    rows = [('until the address is printed', f'{results["seconds_until_address"]:.1f} s'),
            (f'one visitor, who comes alone, sees the tabs (median of {len(alone)}, worst)', f'{alone[len(alone)//2]:.1f} s, {alone[-1]:.1f} s'),
            ('of ten who come at once, the first and the last', f'{ten[0]:.1f} s, {ten[-1]:.1f} s'),
            ('memory before the first visitor, and with ten more', f'{results["gib_before"]:.1f} GiB, {results["gib_with_ten"]:.1f} GiB')]
    yield table(rows, **{'what': lambda r: r[0], 'measured': lambda r: r[1]})

def scale():
    results = read('scale')
    yield hardware(results)
    for _, own in grouped(results['rows'], 'kind'):
        settings = {title: lambda r, k=k: r[k] for title, k in dict(kind='kind', architecture='arch', size='size', images='images', q='q', APIs='apis').items()}
        yield table(own, **settings, queries=lambda r: count(r['n_queries']), seconds=lambda r: f'{r["seconds"]:.2f}',
                    **{'peak MB': lambda r: count(r['peak_mb'])})

# the page

TABLES = {f.__name__: f for f in (
    demo, cifar_fs, paper, accuracy, folder, digits, budget, readable, learning, costs, reveals, learned_from_less, untrusted, ablation, speed, steps,
    http, batch, live, visitors, scale)}

def filled(text, tables=TABLES):
    "A page with today's tables between its marks `<!-- table: NAME -->` and `<!-- end -->`"
    def put(found): return '\n\n'.join([found[1], *tables[found[2]](), found[3]])
    return re.sub(r'(<!-- table: (\w+) -->)\n.*?(<!-- end -->)', put, text, flags=re.S)

if __name__ == '__main__': PAGE.write_text(filled(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
