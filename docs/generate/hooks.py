"What is left to do beside mkdocs.yml: notebooks, modules and results become pages, patterns in the navigation what they find, equations MathML."
import html, json, logging, re
from functools import partial
from pathlib import Path, PurePosixPath

import notebooks, reference, results
from latex2mathml.converter import convert
from mkdocs.structure.files import File
from plotly.offline import get_plotlyjs

ROOT = Path(__file__).resolve().parents[2]
PICTURES = '.svg', '.png', '.jpg', '.webp'  # files beside the notebooks that these show
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
    config.nav = list(expanded(config.nav, in_order({f.src_uri for f in files.documentation_pages()} - named)))
    return files

def made(config):
    "What is not in docs/"
    for name in 'README', 'CONTRIBUTING', 'CHANGELOG': yield File(f'{name}.md', ROOT, config.site_dir, False, dest_uri=f'{name.lower()}.html')
    yield plotly(config)
    for name, path in reference.modules().items(): yield File.generated(config, f'reference/{name}.md', content=reference.as_markdown(path))
    for path in sorted((ROOT/'nbs').rglob('*')):
        uri = path.relative_to(ROOT).as_posix()
        if '/.' in uri: continue
        if path.suffix in PICTURES: yield File(uri, ROOT, config.site_dir, False, dest_uri=uri.removeprefix('nbs/'))
        if path.suffix == '.ipynb': yield from pages(path, uri, config)

def plotly(config):
    "The script that draws the figures of docs/play.md, which nobody has to fetch from elsewhere"
    script = File.generated(config, 'docs/plotly.min.js', content=get_plotlyjs())
    script.dest_uri = 'plotly.min.js'
    return script

def pages(path, uri, config):
    "A notebook as a page, and its pictures"
    text, pictures = notebooks.as_markdown(path)
    page = Page.generated(config, uri, content=f'---\ntitle: {json.dumps(title(path, text))}\n---\n{text}')
    page.dest_uri = page.dest_uri.removeprefix('nbs/')
    yield page
    for name, content in pictures.items(): yield File.generated(config, (PurePosixPath(uri).parent/name).as_posix(), content=content)

def title(path, text):
    "What the navigation calls a notebook: its heading, as words and with a number where that is the name of a module"
    heading = m[1] if (m := re.match(r'# +(.+)', text)) else re.sub(r'^\d+_', '', path.stem)
    if not (n := number(path)): return heading
    words = ' '.join(o.upper() if o in ('api', 'cli', 'http') else o for o in heading.rpartition('.')[2].split('_'))
    return f'{n} {words[0].upper()}{words[1:]}'

def number(path):
    "16 of 16_training.ipynb, 16.1 of training/1_config.ipynb beside it"
    if not (own := re.match(r'(\d+)_', path.name)): return ''
    packages = [re.match(r'\d+', o.name)[0] for o in path.parent.parent.glob(f'[0-9]*_{path.parent.name}.ipynb')]
    return '.'.join(str(int(o)) for o in (*packages, own[1]))

def on_page_markdown(markdown, page, **kwargs):
    return results.filled(markdown) if page.file.src_uri == 'docs/results.md' else markdown

def in_order(uris):
    "Paths in natural order, each with the notebook that it belongs to: for those of a package the notebook with its name, which they follow, for others itself"
    named = {re.sub(r'/\d+_(\w+)\.ipynb$', r'/\1', u): u for u in uris}
    owners = {u: named.get(str(PurePosixPath(u).parent), u) for u in uris}
    return {u: owners[u] for u in sorted(uris, key=lambda u: (natural(owners[u]), u != owners[u], natural(u)))}

def natural(uri):
    "What a path is sorted by: numbers by their value, a package before its modules"
    return [int(o) if o.isdigit() else o for o in re.split(r'(\d+)', uri.rpartition('.')[0])]

def leaves(nav):
    "The paths and patterns in a navigation"
    for o in nav:
        if isinstance(o, str): yield o
        else: yield from leaves(o.values() if isinstance(o, dict) else o)

def expanded(nav, uris):
    "A navigation with what its patterns find in `uris` (as of `in_order`), without sections that are empty"
    for o in nav:
        if isinstance(o, dict):
            [(title, inside)] = o.items()
            if not isinstance(inside, str): inside = list(expanded(inside, uris))
            if inside: yield {title: inside}
        elif '*' in o: yield from (u for u, owner in uris.items() if PurePosixPath(owner).match(o))
        else: yield o

def on_page_content(content, page, **kwargs):
    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', partial(mathml, page=page), content, flags=re.S)

def on_post_page(output, **kwargs):
    "The theme's search is a dialog without a name"
    return output.replace('class="md-search"', 'class="md-search" aria-label="Search"')

def mathml(found, page):
    "An equation that browsers show by themselves"
    kind, tex = found[1], html.unescape(found[2])
    tex = re.sub(r'\\arg\b', r'\\mathrm{arg}\\,', tex)                      # the converter does not know it
    tex = re.sub(r'(\\(?:log|exp|sin|cos))\s*(?=[a-z\\])', r'\1\\,', tex)   # it leaves no space there
    math = convert(tex, display='block' if kind == 'div' else 'inline')
    if '\\' in math: log.warning('%s has an equation that is not understood: %s', page.file.src_uri, tex)
    return math
