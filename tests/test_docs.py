"The site is built from the notebooks and modules by one command. It is whole, and needs nothing from elsewhere."
import re
from html.parser import HTMLParser
from importlib import import_module
from inspect import isclass, isfunction
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from fastcore.docments import docments

from project import EXPORTING, NOTEBOOKS, code_cells, python, read, relative

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

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    python('-m', 'mkdocs', 'build', '--strict', '--site-dir', out, NO_MKDOCS_2_WARNING='1')
    return out

@pytest.fixture(scope='module')
def pages(folder): return {p.relative_to(folder).as_posix(): Page(p.read_text(encoding='utf-8')) for p in folder.rglob('*.html')}

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

@pytest.mark.parametrize('module', EXPORTING)
def test_tells_what_a_module_exports(module, pages):
    page, source = pages[f'reference/{module}.html'], import_module(f'bidf_mkd.{module}')
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

def test_loads_nothing_from_elsewhere(pages, folder):
    outside = {o for page in pages.values() for o in page.loaded if re.match(r'(\w+:)?//', o)}
    styles = [o for p in folder.rglob('*.css') for o in re.findall(r'(?:url\(|@import)\s*["\']?((?:\w+:)?//[^"\')]*)', p.read_text(encoding='utf-8'))]
    assert not outside and not styles

def test_reads_lists_and_tables_as_such(pages):
    "Markdown in notebooks may leave out the empty line above a list; on the site it would be no list"
    wrong = [(name, o) for name, page in pages.items() for o in page.paragraphs if re.search(r'^([-*|]|\d+\.) ', o, re.M)]
    assert not wrong, 'an empty line is missing'
