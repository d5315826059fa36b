"What is left to do beside mkdocs.yml: notebooks and modules become pages, patterns in the navigation what they find, equations MathML."
import html, logging, re
from functools import partial
from pathlib import Path, PurePosixPath

import notebooks, reference, results
from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger('mkdocs.hooks')

class Page(File):
    "A page of the site, whatever its path ends in"
    def is_documentation_page(self): return True

def on_files(files, config):
    "Every file under its path in the repository: links between files are then links between pages"
    for f in [f for f in files if f.src_dir == config.docs_dir]:
        files.remove(f)
        files.append(File(f'docs/{f.src_uri}', ROOT, config.site_dir, False, dest_uri=f.dest_uri))
    for f in made(config): files.append(f)
    named = set(leaves(config.nav))
    config.nav = list(expanded(config.nav, sorted({f.src_uri for f in files.documentation_pages()} - named, key=natural)))
    return files

def made(config):
    "What is not in docs/"
    for name in 'README', 'CONTRIBUTING', 'CHANGELOG': yield File(f'{name}.md', ROOT, config.site_dir, False, dest_uri=f'{name.lower()}.html')
    measured = File.generated(config, 'docs/results.md', content=results.as_markdown())
    measured.dest_uri = 'results.html'
    yield measured
    for path in (ROOT/'bidf_mkd').glob('[!_]*.py'): yield File.generated(config, f'reference/{path.stem}.md', content=reference.as_markdown(path))
    for path in (ROOT/'nbs').rglob('*.ipynb'):
        uri = path.relative_to(ROOT).as_posix()
        if '/.' in uri: continue
        text, pictures = notebooks.as_markdown(path)
        page = Page.generated(config, uri, content=text)
        page.dest_uri = page.dest_uri.removeprefix('nbs/')
        yield page
        for name, content in pictures.items(): yield File.generated(config, (PurePosixPath(uri).parent/name).as_posix(), content=content)

def natural(uri): return [int(o) if o.isdigit() else o for o in re.split(r'(\d+)', uri)]

def leaves(nav):
    "The paths and patterns in a navigation"
    for o in nav:
        if isinstance(o, str): yield o
        else: yield from leaves(o.values() if isinstance(o, dict) else o)

def expanded(nav, uris):
    "A navigation with those of `uris` that its patterns find, without sections that are empty"
    for o in nav:
        if isinstance(o, dict):
            [(title, inside)] = o.items()
            if not isinstance(inside, str): inside = list(expanded(inside, uris))
            if inside: yield {title: inside}
        elif '*' in o: yield from (u for u in uris if PurePosixPath(u).match(o))
        else: yield o

def on_page_content(content, page, **kwargs):
    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', partial(mathml, page=page), content, flags=re.S)

def mathml(found, page):
    "An equation that browsers show by themselves"
    kind, tex = found[1], html.unescape(found[2])
    tex = re.sub(r'\\arg\b', r'\\mathrm{arg}\\,', tex)                      # the converter does not know it
    tex = re.sub(r'(\\(?:log|exp|sin|cos))\s*(?=[a-z\\])', r'\1\\,', tex)   # it leaves no space there
    math = convert(tex, display='block' if kind == 'div' else 'inline')
    if '\\' in math: log.warning('%s has an equation that is not understood: %s', page.file.src_uri, tex)
    return math
