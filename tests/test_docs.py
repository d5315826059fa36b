"The site is built from the notebooks and modules by one command. It is whole, and needs nothing from elsewhere."
import json, re, sys
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from importlib import import_module
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from inspect import isclass, isfunction
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from fastcore.docments import docments

from bidf_mkd.lab import copy_notebooks
from bidf_mkd.training import PRESETS
from browser import barriers
from project import EXPORTING, LIB, NBS, NOTEBOOKS, ROOT, code_cells, python, read, relative

sys.path.insert(0, str(ROOT/'docs'/'generate'))
import figures, hooks, notebooks, reference, results

def plain(text): return ' '.join(text.replace('`', '').split())

class Page(HTMLParser):
    "What is in a page: its anchors, links, what a browser loads for it, its equations, its text and its paragraphs"
    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded, self.equations, self.words = set(), [], [], 0, []
        self.paragraphs = re.findall(r'<p>(.*?)</p>', text, re.S)
        self.feed(text)
        self.text = plain(''.join(self.words))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs.get('id'), attrs.get('name') if tag == 'a' else None}
        if tag == 'a' and 'href' in attrs: self.links.append(attrs['href'])
        self.equations += tag == 'math'
        if tag == 'link' or 'src' in attrs: self.loaded.append(attrs.get('src') or attrs['href'])

    def handle_data(self, data): self.words.append(data)

pytestmark = pytest.mark.xdist_group('docs')   # one worker: one site

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    python('-m', 'mkdocs', 'build', '--strict', '--site-dir', out, NO_MKDOCS_2_WARNING='1')
    return out

@pytest.fixture(scope='module')
def pages(folder): return {p.relative_to(folder).as_posix(): Page(p.read_text(encoding='utf-8')) for p in folder.rglob('*.html')}

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_): pass

@contextmanager
def offered(folder):
    "The url of a server of this folder"
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever).start()
        try: yield f'http://127.0.0.1:{server.server_port}'
        finally: server.shutdown()

def page_of(notebook): return relative(notebook).with_suffix('.html').as_posix()

@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda p: relative(p).as_posix())
def test_shows_a_notebook(notebook, pages):
    nb, page = read(notebook), pages[page_of(notebook)]
    title = nb.cells[0].source.splitlines()[0].removeprefix('# ')
    assert title in page.text
    assert page_of(notebook) in pages['index.html'].links, 'the navigation does not lead to it'
    drawn = [o for c in code_cells(nb) for o in c.outputs if any(k.startswith('image/') for k in o.get('data', {}))]
    assert len([o for o in page.loaded if o.startswith(f'{notebook.stem}/') or f'/{notebook.stem}/' in o]) == len(drawn), 'pictures are missing'
    printed = [o.text for c in code_cells(nb) for o in c.outputs if o.output_type == 'stream']
    assert all(plain(line) in page.text for text in printed for line in text.split('\n') if not {'\r', '\x1b'} & set(line)), 'what was printed is missing'

def test_equations_are_for_browsers(pages):
    formula = r'\$\$.+?\$\$|(?<![\\$`\w])\$\S[^$\n]*?\$'
    for path in NOTEBOOKS:
        prose = ''.join(re.sub(r'(`+).*?\1', '', c.source, flags=re.S) for c in read(path).cells if c.cell_type == 'markdown')
        assert pages[page_of(path)].equations == len(re.findall(formula, prose, re.S)), path

def members(thing):
    "A class and its public methods, or a function"
    yield thing
    if isclass(thing): yield from (o for k, o in vars(thing).items() if isfunction(o) and not k.startswith('_'))

@pytest.mark.parametrize('module', [o.removesuffix('.__init__') for o in EXPORTING])
def test_documents_what_a_module_exports(module, pages):
    page, source = pages[f'reference/{module}.html'], import_module(f'bidf_mkd.{module}')
    assert f'reference/{module}.html' in pages['index.html'].links, 'the navigation does not lead to it'
    assert plain(source.__doc__) in page.text
    assert not set(source.__all__) - page.anchors
    for thing in (o for name in source.__all__ for o in members(getattr(source, name)) if isclass(o) or isfunction(o)):
        missing = [o for o in docments(thing).values() if o and plain(o) not in page.text]
        assert not missing and plain(thing.__doc__ or '') in page.text, thing

def test_has_no_dead_link(pages, folder):
    dead = []
    for name, page in pages.items():
        for link in [*page.links, *page.loaded]:
            url, anchor = urldefrag(urljoin(f'http://site/{name}', link))
            path = unquote(urlsplit(url).path).lstrip('/') or 'index.html'
            if not url.startswith('http://site/'): continue
            if not (folder/path).is_file() or anchor and unquote(anchor) not in pages[path].anchors: dead.append((name, link))
    assert not dead

def test_copies_of_lessons_have_no_dead_link(tmp_path):
    "In the folder of `bidf-mkd lab` only what is there can be linked to"
    copy_notebooks(tmp_path, NBS/'tutorials')
    links = [(p.name, o) for p in tmp_path.glob('*.ipynb') for c in read(p).cells if c.cell_type == 'markdown' for o in re.findall(r'\]\(([^)]+)\)', c.source)]
    assert len(links) > 40 and not [(p, o) for p, o in links if '://' not in o and not (tmp_path/urldefrag(o)[0]).is_file()]
    lessons = sorted(p.name for p in tmp_path.glob('[1-8]*.ipynb'))
    assert {o for p, o in links if p == '0-start.ipynb'} >= {*lessons, 'explorers.ipynb'} and all((p, '0-start.ipynb') in links for p in lessons)
    assert not [c.source for p in tmp_path.glob('*.ipynb') for c in read(p).cells if 'check' in c.metadata.get('tags', ())]

@pytest.mark.parametrize('dark', [False, True])
def test_nobody_is_kept_out(folder, chromium, dark):
    "axe-core finds no serious barrier on the main pages"
    with offered(folder) as url:
        for name in 'index', 'play', 'results', 'tutorials/0-start':
            context = chromium.new_context(color_scheme='dark' if dark else 'light')
            page = context.new_page()
            page.goto(f'{url}/{name}.html')
            page.wait_for_load_state('networkidle')
            assert not barriers(page), name
            context.close()

def test_plays_without_a_server(folder, chromium):
    "The sliders move the figures, on a screen as narrow as a phone's; nothing is fetched from elsewhere"
    with offered(folder) as url:
        page = chromium.new_context(viewport=dict(width=390, height=800)).new_page()
        asked = []
        page.on('request', lambda r: asked.append(urlsplit(r.url).netloc))
        page.goto(f'{url}/play.html')
        for i, n in enumerate((9, 21, 2)):
            at = page.locator('.play').nth(i)
            slider = at.get_by_role('slider')
            slider.focus()
            picture = lambda: at.locator('svg').first.evaluate('o => o.parentElement.innerHTML')
            before, said = picture(), slider.get_attribute('aria-valuetext')
            for _ in range(n): page.keyboard.press('ArrowRight')
            page.wait_for_timeout(500)
            assert picture() != before and slider.get_attribute('aria-valuetext') != said
        assert {o for o in asked if o} == {urlsplit(url).netloc}
        assert page.evaluate('document.documentElement.scrollWidth') <= 390

def test_loads_nothing_from_elsewhere(pages, folder):
    outside = {o for page in pages.values() for o in page.loaded if re.match(r'(\w+:)?//', o)}
    styles = [o for p in folder.rglob('*.css') for o in re.findall(r'(?:url\(|@import)\s*["\']?((?:\w+:)?//[^"\')]*)', p.read_text(encoding='utf-8'))]
    assert not outside and not styles

def test_reads_lists_and_tables_as_such(pages):
    "Markdown in notebooks may leave out the empty line above a list; on the site it would be no list"
    wrong = [(name, o) for name, page in pages.items() for o in page.paragraphs if re.search(r'^([-*|]|\d+\.) ', o, re.M)]
    assert not wrong, 'an empty line is missing'

# The page on the paper

PAPER = (ROOT/'docs'/'paper.md').read_text(encoding='utf-8')

def linked(text):
    "The functions and the assertions that a text links to: pairs of what the link says, and the source of the cell"
    sides = [], []
    for name, path, cell in re.findall(r'\[([^][]+)\]\(\.\./nbs/([\w/-]+\.ipynb)#(\w+)\)', text):
        [found] = [c.source for c in read(NBS/path).cells if c.id == cell]
        sides[not re.fullmatch(r'`\w+`', name)].append((name.strip('`'), found))
    return sides

def test_the_page_on_the_paper_names_what_there_is(pages):
    "Each of its equations has a function of ours, and an assertion about it"
    rows = re.findall(r'^\| \w.*', PAPER.partition('## Equations')[2].partition('## Settings')[0], re.M)[1:]
    assert len(rows) > 15 and 'paper.html' in pages['index.html'].links and '$' not in pages['paper.html'].text
    for row in rows: assert all(linked(row)), row
    functions, assertions = linked(PAPER)
    for name, found in functions: assert '#| export' in found and re.search(rf'^(def |class )?{name}\b', found, re.M), name
    for name, found in assertions: assert re.search(r'^ *(for .*: )?assert ', found, re.M) and '#| export' not in found, name

def test_the_page_on_the_paper_has_the_values_of_its_preset():
    settings = re.findall(r'^\| `(\w+)` \| (\S+) \|', PAPER.partition('## Settings')[2].partition('## Where')[0], re.M)
    assert len(settings) > 15 and {k: v for k, v in settings} == {k: str(getattr(PRESETS['paper'], k)) for k, _ in settings}

# The parts that make it, one by one

def notebook(path, *cells):
    "A notebook of these cells: text, or pairs of code and outputs"
    def cell(i, o):
        if isinstance(o, str): return dict(cell_type='markdown', id=f'c{i}', source=o.splitlines(True), metadata={})
        return dict(cell_type='code', id=f'c{i}', source=o[0].splitlines(True), outputs=o[1], metadata={}, execution_count=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(cells=[cell(i, o) for i, o in enumerate(cells)], metadata={}, nbformat=4, nbformat_minor=5)))
    return path

def stream(text): return dict(output_type='stream', name='stdout', text=[text])

def shows(**data): return dict(output_type='display_data', data={k.replace('_', '/').replace('/svg', '/svg+xml'): v for k, v in data.items()}, metadata={})

def test_code_of_a_notebook_bears_its_module_and_a_cell_its_anchor(tmp_path):
    code = '#| default_exp cats.__init__', '#| export\ndef f(): return "```"', '#| hide\nf()'
    text, pictures = notebooks.as_markdown(notebook(tmp_path/'a.ipynb', '# cats\n\n> On cats.', *((o, []) for o in code)))
    assert text.startswith('# cats\n\n> On cats.') and not pictures
    assert '<div id="c2"></div>' in text and '<div id="c1"></div>' not in text, 'a cell without code is not shown'
    assert '```` { .python title="bidf_mkd.cats" }\ndef f(): return "```"\n````' in text, 'the fence is longer than those in the code'
    assert '``` { .python }\nf()\n```' in text and '#|' not in text

def test_outputs_of_a_notebook(tmp_path):
    outputs = [stream('50%\r100%\n'), stream('\x1b[1mdone\x1b[0m\n'), shows(image_svg='<svg/>', text_plain='a [cat]'),
               shows(image_png='AAAA', text_plain='<Figure>'), shows(text_html='<style>b</style><table border="1"><tr></tr></table>', text_plain='t'),
               shows(text_markdown='[run](runs/1.html)'), shows(text_plain='  3%|#   | 1/30')]
    text, pictures = notebooks.as_markdown(notebook(tmp_path/'a.ipynb', '# cats', ('f()', outputs)))
    assert '{ .text .output .no-copy }\n100%\ndone\n```' in text, 'one terminal, with what it shows in the end'
    assert '![a  cat ](a/c1-1.svg)' in text and '![Picture: cats](a/c1-2.png)' in text
    assert pictures == {'a/c1-1.svg': b'<svg/>', 'a/c1-2.png': b'\0\0\0'}
    assert '<div class="output">\n<table><tr></tr></table>\n</div>' in text
    assert '\n\nrun' in text and '1/30' not in text

MODULE = '''"""On cats."""

# AUTOGENERATED! DO NOT EDIT! File to edit: ../UPnbs/NB.ipynb.

# %% auto #0
__all__ = ['LIVES', 'Cat', 'feed', 'count']

# %% ../UPnbs/NB.ipynb #aa
LIVES = 9 # so many

class Cat:
    "A | cat"
    def __init__(self, name:str): self.name = name

    def purr(self)->str: return 'purr'

    def _scratch(self): pass

# %% ../UPnbs/NB.ipynb #bb
def feed(
    cat:Cat,      # who is hungry
    times:int=1   # how often
)->bool: # whether it was enough
    "Feed a cat"

def count(cats):  # how many there are
    "Count cats"
    return len(cats)

def hidden(): pass
'''

def library(folder):
    "A library of a module, a package and what is not public"
    package = MODULE.replace('UP', '../').replace("'LIVES', ", '').replace('LIVES = 9 # so many', 'from .small import LIVES, _hidden')
    files = {'cats.py': MODULE.replace('UP', '').replace('NB', '01_cats'), '_modidx.py': 'd = {}', '__init__.py': '__version__ = "1"',
             'pets/__init__.py': package.replace('NB', '02_pets'), 'pets/small.py': MODULE.replace('UP', '../').replace('NB', 'pets/1_small'),
             'zoo/__init__.py': '', 'zoo/cage.py': MODULE.replace('UP', '../').replace('NB', 'zoo/cage')}
    for name, text in files.items():
        (folder/name).parent.mkdir(exist_ok=True)
        (folder/name).write_text(text)
    return folder

def test_a_module_as_a_page(tmp_path):
    page = reference.as_markdown(library(tmp_path)/'cats.py', tmp_path)
    assert page.startswith('# cats\n\n> On cats.\n\n`bidf_mkd.cats` is documented in [01_cats](../nbs/01_cats.ipynb).')
    assert '## `LIVES` { #LIVES }\n\n[01_cats](../nbs/01_cats.ipynb#aa){ .source }' in page and 'LIVES = 9 # so many' in page
    assert 'A &#124; cat' in page and '### `Cat.purr` { #Cat.purr }' in page and '_scratch' not in page and 'hidden' not in page
    assert '## `feed` { #feed }\n\n[01_cats](../nbs/01_cats.ipynb#bb)' in page
    assert 'count(cats) # how many there are' in page
    assert '| `times:int=1` | how often |' in page and '| `-> bool` | whether it was enough |' in page

def test_packages_have_pages_too(tmp_path):
    assert list(reference.modules(library(tmp_path))) == ['cats', 'pets', 'pets.small', 'zoo', 'zoo.cage']
    page = reference.as_markdown(tmp_path/'pets/__init__.py', tmp_path)
    assert page.startswith('# pets\n\n> On cats.\n\n`bidf_mkd.pets` is documented in [02_pets](../nbs/02_pets.ipynb).')
    assert '- [pets.small](pets.small.md): On cats. In `bidf_mkd.pets`, too: [`LIVES`](pets.small.md#LIVES)\n' in page + '\n'
    assert '[1_small](../nbs/pets/1_small.ipynb#aa)' in reference.as_markdown(tmp_path/'pets/small.py', tmp_path)
    assert '- [zoo.cage](zoo.cage.md): On cats.' in reference.as_markdown(tmp_path/'zoo/__init__.py', tmp_path), 'also without a notebook of its own'

def test_all_public_modules_are_found(): assert set(reference.modules(LIB)) >= {o.removesuffix('.__init__') for o in EXPORTING}

def test_patterns_in_the_navigation():
    uris = {'nbs/2_b.ipynb', 'nbs/10_c.ipynb', 'nbs/index.ipynb', 'nbs/b/2_y.ipynb', 'nbs/b/10_x.ipynb', 'nbs/lessons/1-a.ipynb',
            'reference/b.a.md', 'reference/b.md'}
    nav = [{'Start': ['README.md']}, {'Lessons': ['nbs/lessons/*.ipynb']}, {'Notebooks': ['nbs/*.ipynb']}, {'Empty': ['none/*.md']},
           {'Reference': ['reference/*.md']}]
    assert list(hooks.leaves(nav)) == ['README.md', 'nbs/lessons/*.ipynb', 'nbs/*.ipynb', 'none/*.md', 'reference/*.md']
    assert list(hooks.expanded(nav, hooks.in_order(uris - {'nbs/index.ipynb'}))) == [
        {'Start': ['README.md']}, {'Lessons': ['nbs/lessons/1-a.ipynb']},
        {'Notebooks': ['nbs/2_b.ipynb', 'nbs/b/2_y.ipynb', 'nbs/b/10_x.ipynb', 'nbs/10_c.ipynb']}, {'Reference': ['reference/b.md', 'reference/b.a.md']}]

def test_titles_in_words(tmp_path):
    paths = [notebook(tmp_path/'nbs'/o, '# x') for o in ('05_http_api.ipynb', '16_training.ipynb', 'training/2_ledger.ipynb', 'lessons/1-box.ipynb')]
    titles = [hooks.title(p, f'# {h}\n\n> text') for p, h in zip(paths, ('http_api', 'training', 'training.ledger', '1. A black box'))]
    assert titles == ['5 HTTP API', '16 Training', '16.2 Ledger', '1. A black box']
    assert hooks.title(paths[0], 'no heading') == '5 HTTP API'

def test_tables_of_results():
    rows = [dict(method=m, shot=s, classifier='prototype', transductive=True, mean=50. + s, ci95=1.25, gain=-.04, gain_ci95=.3) for m in 'ab' for s in (1, 5)]
    made = results.table(rows[:1], method=lambda r: r['method'], **{'accuracy (%)': results.interval})
    assert made == '| method | accuracy (%) |\n| --- | --- |\n| a | 51.0\xa0±\xa01.2 |'
    assert results.difference(rows[0]) == '-0.0\xa0±\xa00.3' and results.count(12345.6) == '12,346'
    assert [(k, [r['shot'] for r in own]) for k, own in results.grouped(rows[::-1], 'method')] == [(('b',), [5, 1]), (('a',), [5, 1])], 'the order stays'
    assert [r['before'] for r in results.with_before(rows, 'a', 'b')] == [51., 55.]
    assert [(r['x'], r['worst'], r['repeats']) for r in results.medians([dict(k=1, x=v, ratio=v) for v in (1, 2, 9)], 'k')] == [(2, 9, 3)]
    page = 'text\n\n<!-- table: cats -->\nold\n<!-- end -->\n\nmore'
    assert results.filled(page, dict(cats=lambda: ['one', 'two'])) == 'text\n\n<!-- table: cats -->\n\none\n\ntwo\n\n<!-- end -->\n\nmore'

def test_results_are_of_today():
    text = results.PAGE.read_text(encoding='utf-8')
    assert set(re.findall(r'<!-- table: (\w+) -->', text)) == set(results.TABLES)
    assert results.filled(text) == text, 'run python docs/generate/results.py'
    shown = re.findall(r"read\('(\w+)'\)", (ROOT/'docs/generate/results.py').read_text(encoding='utf-8'))
    assert {p.stem for p in results.RESULTS.glob('*.json')} == set(shown)

def test_the_curves_are_of_today():
    for path, (shown, _) in figures.FIGURES.items():
        assert f'numbers {figures.digest(shown())}' in path.read_text(encoding='utf-8'), 'run python docs/generate/figures.py'
