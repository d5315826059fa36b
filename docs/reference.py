"A module as a page of Markdown: what it exports, as its source says it, with links to the cells of the notebook that tell it."
import ast, io, re, tokenize
from itertools import groupby
from pathlib import Path, PurePosixPath

LONG = 12   # lines: a longer constant is not shown
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
CALLED = '__call__', '__len__', '__iter__', '__getitem__'

class Module:
    "The source of a module, read and not run"
    def __init__(self, path:Path):
        self.text = path.read_text(encoding='utf-8')
        self.name, self.lines, self.tree = path.stem, self.text.splitlines(), ast.parse(self.text)
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        self.comments = {t.start[0]: t for t in tokens if t.type == tokenize.COMMENT}
        self.cells = [(n, *m.groups()) for n, o in enumerate(self.lines, 1) if (m := re.match(r'# %% \.\./(\S+\.ipynb) #(\S+)', o))]

    def exported(self)->list: # the names in `__all__`
        return next(ast.literal_eval(o.value) for o in self.tree.body if '__all__' in names(o))

    def said(self, node): return ast.get_source_segment(self.text, node)

    def comment(self, line): return self.comments[line].string.lstrip('# ') if line in self.comments else ''

    def code(self, line): return self.lines[line-1][:self.comments[line].start[1] if line in self.comments else None].strip()

    def told(self, node):
        "A link to the cell that a statement comes from"
        notebook, cell = [o[1:] for o in self.cells if o[0] < node.lineno][-1]
        return f'[{PurePosixPath(notebook).stem}](../{notebook}#{cell}){{ .told }}'

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
            default = f'={m.said(defaults[o])}' if defaults.get(o) else ''
            yield o.lineno, star + o.arg + default, star + m.said(o) + default

def function(m, f, name):
    "How a function is called, its docstring, and what the comments say of its parameters"
    found = list(parameters(m, f))
    lines = [(n, ', '.join(o[2] for o in group)) for n, group in groupby(found, lambda o: o[0])]
    rows = [(code, m.comment(n)) for n, code in lines if n != f.lineno]
    documented = any(text for _, text in rows)
    called = '' if 'property' in map(ast.unparse, f.decorator_list) else f'({", ".join(o[1 if documented else 2] for o in found)})'
    returned, result = (m.said(f.returns), m.comment(f.returns.end_lineno)) if f.returns else ('', '')
    yield block(name + called + f' -> {returned}'*bool(returned) + f' # {result}'*bool(result and not documented))
    yield literal(ast.get_docstring(f) or '')
    if documented: yield table(rows + [(f'-> {returned}', result)]*bool(returned))

def klass(m, c):
    "What a class is made of: its fields, or how it is called, and its public methods"
    methods = {o.name: o for o in c.body if isinstance(o, FUNCTIONS)}
    fields = [o.lineno for o in c.body if isinstance(o, ast.AnnAssign)]
    if c.bases or c.decorator_list or '__init__' not in methods:
        yield block(*(f'@{m.said(o)}' for o in c.decorator_list), f'class {c.name}({", ".join(map(m.said, c.bases))})'.replace('()', ''))
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
    yield block(m.said(node) + f' # {comment}'*bool(comment)) if node.end_lineno - node.lineno < LONG else comment

def described(m, node):
    if isinstance(node, ast.ClassDef): return klass(m, node)
    return function(m, node, node.name) if isinstance(node, FUNCTIONS) else constant(m, node)

def as_markdown(path:Path)->str: # the page
    "A module as Markdown"
    m = Module(path)
    notebook, exported = m.cells[0][1], m.exported()
    parts = [f'# {m.name}', f'> {literal(ast.get_docstring(m.tree))}']
    parts += [f'The module `bidf_mkd.{m.name}` is told in [{PurePosixPath(notebook).stem}](../{notebook}).']
    for node in m.tree.body:
        for name in names(node):
            if name in exported: parts += [f'## `{name}` {{ #{name} }}', m.told(node), *described(m, node)]
    return '\n\n'.join(parts)
