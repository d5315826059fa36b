"A module as a page of Markdown: what it exports, from its source, with links to the cells of the notebook that it comes from."
import ast, io, re, tokenize
from itertools import groupby
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT/'bidf_mkd'
LONG = 12   # lines: a longer constant is not shown
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
CALLED = '__call__', '__len__', '__iter__', '__getitem__'

def name_of(path, lib=LIB):
    "A module's name in the library: apps/recovery.py is `apps.recovery`, apps/__init__.py is `apps`"
    return '.'.join(o for o in path.relative_to(lib).with_suffix('').parts if o != '__init__')

def modules(lib=LIB):
    "The paths of public modules, also of those in packages, by name"
    found = {name_of(p, lib): p for p in lib.rglob('*.py')}
    return {name: found[name] for name in sorted(found) if name and not re.search(r'(^|\.)_', name)}

class Module:
    "The source of a module, read and not run"
    def __init__(self, path:Path, lib:Path=LIB):
        self.text, self.name, self.lib = path.read_text(encoding='utf-8'), name_of(path, lib), lib
        self.is_package = path.stem == '__init__'
        self.lines, self.tree = self.text.splitlines(), ast.parse(self.text)
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        self.comments = {t.start[0]: t for t in tokens if t.type == tokenize.COMMENT}
        self.cells = [(n, *m.groups()) for n, o in enumerate(self.lines, 1) if (m := re.match(r'# %% (?:\.\./)+(\S+\.ipynb) #(\S+)', o))]

    def exported(self)->list: # the names in `__all__`
        return next((ast.literal_eval(o.value) for o in self.tree.body if '__all__' in names(o)), [])

    def imported(self)->list: # pairs: a module of this package, the public names that the package has from it
        imports = [o for o in self.tree.body if isinstance(o, ast.ImportFrom) and o.level == 1 and o.module]
        return [(f'{self.name}.{o.module}', [n.name for n in o.names if n.name[0] != '_']) for o in imports]

    def source(self, node): return ast.get_source_segment(self.text, node)

    def comment(self, line): return self.comments[line].string.lstrip('# ') if line in self.comments else ''

    def code(self, line): return self.lines[line-1][:self.comments[line].start[1] if line in self.comments else None].strip()

    def cell(self, node):
        "A link to the cell that a statement comes from"
        notebook, cell = [o[1:] for o in self.cells if o[0] < node.lineno][-1]
        return f'[{PurePosixPath(notebook).stem}](../{notebook}#{cell}){{ .source }}'

def names(node)->list: # what a statement defines
    if isinstance(node, ast.Assign): return [o.id for t in node.targets for o in ast.walk(t) if isinstance(o, ast.Name)]
    return [node.name] if isinstance(node, (ast.ClassDef, *FUNCTIONS)) else []

def block(*lines): return '\n'.join(['``` { .python .call .no-copy }', *lines, '```'])

def literal(text):
    "Text in which nothing but code has a meaning to Markdown"
    return re.sub(r'`[^`]*`|[<&*_|[\]]', lambda m: m[0] if m[0][0] == '`' else f'&#{ord(m[0])};', text)

def table(rows):
    "Code, and what is said of it; what is said without code is a heading"
    return '\n'.join(['| | |', '|---|---|'] + [f'| `{code}` | {literal(text)} |' if code else f'| **{literal(text)}** | |' for code, text in rows])

def parameters(m, f):
    "Of each parameter its line, its name with the default, and all of it"
    a = f.args
    plain = a.posonlyargs + a.args
    defaults = dict(zip(plain[::-1], a.defaults[::-1])) | dict(zip(a.kwonlyargs, a.kw_defaults))
    for star, o in [*(('', o) for o in plain), ('*', a.vararg), *(('', o) for o in a.kwonlyargs), ('**', a.kwarg)]:
        if star == '*' and not o and a.kwonlyargs: yield f.lineno, star, star
        if o and o.arg != 'self':
            default = f'={m.source(defaults[o])}' if defaults.get(o) else ''
            yield o.lineno, star + o.arg + default, star + m.source(o) + default

def function(m, f, name):
    "How a function is called, its docstring, and what the comments say of its parameters"
    found = list(parameters(m, f))
    lines = [(n, ', '.join(o[2] for o in group)) for n, group in groupby(found, lambda o: o[0])]
    rows = [(code, m.comment(n)) for n, code in lines if n != f.lineno]
    documented = any(text for _, text in rows)
    called = '' if 'property' in map(ast.unparse, f.decorator_list) else f'({", ".join(o[1 if documented else 2] for o in found)})'
    returned = m.source(f.returns) if f.returns else ''
    end = f.returns.end_lineno if f.returns else f.body[0].lineno - 1   # the line that the signature ends on, unless the body is on it, too
    result = m.comment(end) if f.returns or end >= f.lineno and end not in {n for n, _ in lines if n != f.lineno} else ''
    yield block(name + called + f' -> {returned}'*bool(returned) + f' # {result}'*bool(result and not documented))
    yield literal(ast.get_docstring(f) or '')
    if documented: yield table(rows + [(f'-> {returned}'.rstrip(), result)]*bool(returned or result))

def klass(m, c):
    "What a class is made of: its fields, or how it is called, and its public methods"
    methods = {o.name: o for o in c.body if isinstance(o, FUNCTIONS)}
    fields = [o.lineno for o in c.body if isinstance(o, ast.AnnAssign)]
    if c.bases or c.decorator_list or '__init__' not in methods:
        yield block(*(f'@{m.source(o)}' for o in c.decorator_list), f'class {c.name}({", ".join(map(m.source, c.bases))})'.replace('()', ''))
    yield literal(ast.get_docstring(c) or '')
    if fields: yield table([(m.code(n), m.comment(n)) for n in range(c.body[0].end_lineno + 1, fields[-1] + 1)])
    if '__init__' in methods: yield from function(m, methods['__init__'], c.name)
    for name, f in methods.items():
        if name in CALLED or not name.startswith('_'):
            yield f'### `{c.name}.{name}` {{ #{c.name}.{name.strip("_")} }}'
            yield from function(m, f, name)

def constant(m, node):
    "A constant as it is written, if it is short"
    comment = m.comment(node.end_lineno)
    yield block(m.source(node) + f' # {comment}'*bool(comment)) if node.end_lineno - node.lineno < LONG else comment

def described(m, node):
    if isinstance(node, ast.ClassDef): return klass(m, node)
    return function(m, node, node.name) if isinstance(node, FUNCTIONS) else constant(m, node)

def contents(m):
    "The modules of a package: what they are for, and the names that the package has from them"
    inside, imported = [o for o in modules(m.lib) if o.rpartition('.')[0] == m.name], dict(m.imported())
    for name in inside:
        part = Module(modules(m.lib)[name], m.lib)
        exported = [o for o in imported.get(name, []) if o in part.exported()]
        yield f'- [{name}]({name}.md): {literal(ast.get_docstring(part.tree) or "")}' + f' In `bidf_mkd.{m.name}`, too: '*bool(exported) + ', '.join(
            f'[`{o}`]({name}.md#{o})' for o in exported)

def as_markdown(path:Path, lib:Path=LIB)->str: # the page
    "A module as Markdown"
    m = Module(path, lib)
    exported, notebooks = m.exported(), list(dict.fromkeys(o[1] for o in m.cells))
    parts = [f'# {m.name}', f'> {literal(ast.get_docstring(m.tree) or "")}']
    if notebooks: parts += [f'`bidf_mkd.{m.name}` is documented in ' + ', '.join(f'[{PurePosixPath(o).stem}](../{o})' for o in notebooks) + '.']
    if m.is_package: parts += ['\n'.join(['Its modules:', '', *contents(m)])]
    for node in m.tree.body:
        for name in names(node):
            if name in exported: parts += [f'## `{name}` {{ #{name} }}', m.cell(node), *described(m, node)]
    return '\n\n'.join(parts)
