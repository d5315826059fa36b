"A notebook as a page of Markdown, with the outputs that are saved in it. Its pictures become files."
import base64, html, json, re
from pathlib import Path

PICTURES = {'image/svg+xml': 'svg', 'image/png': 'png', 'image/jpeg': 'jpg', 'image/webp': 'webp'}   # and how their files end

def fenced(text, attributes):
    "A block of code, whatever it holds"
    fence = '`'*max([3] + [len(o) + 1 for o in re.findall('`+', text)])
    return f'{fence} {{ {attributes} }}\n{text}\n{fence}'

def printed(text):
    "What a terminal shows: no codes for colours, and of a line that was written over, the last"
    lines = re.sub(r'\x1b\[[\d;]*[A-Za-z]', '', text).rstrip().split('\n')
    return fenced('\n'.join(o.rstrip('\r').rpartition('\r')[2] for o in lines), '.text .output .no-copy') if text.strip() else ''

def picture(mime, data, title, name, section):
    "A picture as Markdown, and its file. One without a title of its own is described by that of its section"
    name = f'{name}.{PICTURES[mime]}'
    title = f'Picture: {section}' if re.match(r'<|\w+\(children=|(figure)?$', title) else title.removesuffix(': run this cell to use it')
    title = html.escape(re.sub(r'[][\n]', ' ', title))
    return f'![{title}]({name})', {name: data.encode() if mime == 'image/svg+xml' else base64.b64decode(data)}

def shown(output, name, section=''):
    "An output as Markdown, and its files"
    data = {k: ''.join(v) for k, v in output.get('data', {'text/plain': output.get('text', '')}).items() if isinstance(v, (str, list))}
    plain = data.get('text/plain', '')
    for mime in PICTURES:
        if mime in data: return picture(mime, data[mime], plain, name, section)
    if '%|' in plain: return '', {}  # a progress bar
    if 'text/html' in data:
        own = re.sub(r'<style.*?</style>|(?<=<table)[^>]*', '', data['text/html'], flags=re.S)  # tables look like all tables of the site
        return f'<div class="output">\n{own}\n</div>', {}
    if 'text/markdown' in data: return re.sub(r'\[([^]]*)\]\((?:<[^>]*>|[^)]*)\)', r'\1', data['text/markdown']), {}  # links lead to files of a run
    return printed(plain), {}

def joined(outputs):
    "Outputs, those that were printed one after the other as one"
    done = []
    for o in outputs:
        if o['output_type'] == 'stream' and done and done[-1]['output_type'] == 'stream': done[-1] = o | dict(text=[*done[-1]['text'], *o['text']])
        else: done.append(o)
    return done

def as_markdown(path:Path)->tuple[str, dict[str, bytes]]: # the page, and its pictures by name
    "A notebook as Markdown. The id of a cell is an anchor; what is exported bears the name of its module"
    parts, pictures, module, section = [], {}, '', ''
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source']).strip('\n')
        if 'check' in cell['metadata'].get('tags', ()): continue # for the tests alone
        if cell['cell_type'] != 'code':
            parts.append(source)
            section = ([section] + re.findall(r'^#+ +(.+)', source, re.M))[-1]
            continue
        directives, code = re.fullmatch(r'((?:#\|[^\n]*\n?)*)(.*)', source, re.S).groups()
        module = ''.join(re.findall(r'default_exp\s+(\S+)', directives)).removesuffix('.__init__') or module
        title = f' title="bidf_mkd.{module}"' if re.search(r'\|\s*export', directives) else ''
        if code: parts += [f'<div id="{cell["id"]}"></div>', fenced(code, f'.python{title}')]
        for i, o in enumerate(joined(cell['outputs'])):
            text, files = shown(o, f'{path.stem}/{cell["id"]}-{i}', section)
            parts.append(text)
            pictures |= files
    return '\n\n'.join(parts), pictures
