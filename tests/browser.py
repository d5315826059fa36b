"JupyterLab and Voila as a reader meets them: servers that our command starts, and what headless Chromium does and sees there."
import ast, json, re, shutil, signal, socket, subprocess, sys, time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest

from project import ROOT, environment

MINUTE = 60_000     # milliseconds, in which playwright counts
HOSTS = '127.0.0.1', 'localhost'

# JupyterLab: `window.jupyterapp` is there, it asks nobody for news, and cells that are out of sight are in the page.
LAB = dict(expose_app_in_browser=True, news_url=None, check_for_updates_class='jupyterlab.NeverCheckForUpdate')
SETTINGS = {'notebook-extension/tracker': dict(windowingMode='none'), 'apputils-extension/notification': dict(fetchNews='false', checkForUpdates=False)}
VOILA = dict(show_tracebacks=True)

# Servers

class Server(NamedTuple):
    "A running `bidf-mkd lab`"
    process: subprocess.Popen
    url: str        # of its first page, with the token
    folder: Path    # of the notebooks
    log: Path       # what it printed

    def at(self, path, **query):
        "The address of another of its pages"
        u = urlsplit(self.url)
        return f'{u.scheme}://{u.netloc}/{path}?' + '&'.join([u.query]*bool(u.query) + [f'{k}={v}' for k, v in query.items()])

def own_jupyter(home):
    "The environment of a Jupyter that has all its files in the folder `home`: what the user has is neither read nor changed"
    files = {'config/jupyter_server_config': dict(ServerApp=dict(allow_root=True)), 'config/jupyter_lab_config': dict(LabApp=LAB),
             'config/voila': dict(VoilaConfiguration=VOILA)} | {f'settings/@jupyterlab/{k}': v for k, v in SETTINGS.items()}
    for name, content in files.items():
        path = home/f'{name}.{"json" if name.startswith("config") else "jupyterlab-settings"}'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    places = dict(JUPYTER_CONFIG_DIR='config', JUPYTER_DATA_DIR='data', JUPYTER_RUNTIME_DIR='runtime', IPYTHONDIR='ipython',
                  JUPYTERLAB_SETTINGS_DIR='settings', JUPYTERLAB_WORKSPACES_DIR='workspaces')
    return environment(JUPYTER_PATH='', JUPYTER_CONFIG_PATH='', **{k: str(home/v) for k, v in places.items()})

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def address(process, log, seconds=240):
    "The address that our command prints when its server is up; an error, with all that was printed, if none comes"
    end = time.monotonic() + seconds
    while not (found := re.search(r'^Open (http://\S+)$', log.read_text(), re.M)):
        assert process.poll() is None and time.monotonic() < end, f'no server: {log.read_text()}'
        time.sleep(.1)
    return found[1]

# tornado says so when a browser leaves while something is being sent to it
PAGE_GONE = re.compile(r'^Task exception was never retrieved\nfuture: .*WebSocketClosedError\(\)>\n.*?^tornado\.websocket\.WebSocketClosedError\n', re.M | re.S)

def interrupt(process, log):
    "Ctrl-C: it has to end without an error, and with all that it started"
    started, before = psutil.Process(process.pid).children(recursive=True), len(log.read_text())
    process.send_signal(signal.SIGINT)
    code = process.wait(120)
    left = psutil.wait_procs(started, timeout=60)[1]
    said = PAGE_GONE.sub('', log.read_text()[before:])
    assert (code, left) == (0, []) and 'Traceback' not in said, log.read_text()

@contextmanager
def serving(home, *options):
    "`bidf-mkd lab` with these options, on the folder `notebooks` of the folder `home`, until Ctrl-C"
    folder, log = home/'notebooks', home/'log.txt'
    call = [sys.executable, '-c', 'import sys; from bidf_mkd.cli import main; sys.exit(main())', 'lab', folder, '--no-browser', '--port', free_port(), *options]
    with open(log, 'w') as f: process = subprocess.Popen([str(o) for o in call], cwd=ROOT, env=own_jupyter(home), stdout=f, stderr=subprocess.STDOUT)
    try: yield Server(process, address(process, log), folder, log)
    finally:
        if process.poll() is None: interrupt(process, log)

# The browser

@contextmanager
def chromium_running():
    "Headless Chromium that finds no other machine"
    from playwright.sync_api import sync_playwright
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not program: pytest.fail('the browser tests need Chromium: apt-get install chromium', pytrace=False)
    alone = f'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {", EXCLUDE ".join(HOSTS)}'
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox', alone])
        yield browser
        browser.close()

def visit(browser):
    "A new page in a browser of its own, without cookies; what it complains of is kept for `errors`"
    page = browser.new_context(viewport=dict(width=1280, height=900)).new_page()
    page.set_default_timeout(3*MINUTE)
    page.complaints = []
    def told(message):
        elsewhere = urlsplit(message.location['url']).hostname not in (*HOSTS, None)    # Voila asks another host for fonts
        if message.type == 'error' and not elsewhere: page.complaints.append(f'console: {message.text}')
    page.on('console', told)
    page.on('pageerror', lambda e: str(e) in SLOW or page.complaints.append(f'page: {e}'))
    return page

SLOW = '[anywidget] Failed to initialize model.', # a timer of anywidget ran out, 2 s; a busy machine goes on and shows the widget, which the tests look at

KERNEL = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const reply = await kernel.requestExecute({code: '', user_expressions: {it: code}}).done;
    return reply.content.user_expressions.it.data['text/plain'];
}"""
OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await Promise.all([panel.context.ready, panel.revealed, panel.sessionContext.ready]);
    await panel.sessionContext.session.kernel.info;
}"""
READY = """() => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
RUN = """async ms => {
    const late = new Promise(done => setTimeout(done, ms));
    await Promise.race([window.jupyterapp.commands.execute('notebook:run-all-cells'), late]);
    const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
    return cells.filter(c => c.type === 'code' && c.sharedModel.source.trim() && (c.executionCount === null || c.executionState === 'running'))
        .map(c => c.sharedModel.source);
}"""
ERRORS = """() => {
    const cells = [...window.jupyterapp?.shell.currentWidget?.content?.model?.cells ?? []].filter(c => c.type === 'code');
    const failed = cells.flatMap(c => c.outputs.toJSON()).filter(o => o.output_type === 'error').map(o => `cell: ${o.ename}: ${o.evalue}`);
    const shown = [...document.querySelectorAll('.jp-OutputArea-output')].filter(o => o.dataset.mimeType === 'application/vnd.jupyter.error'
        || /error displaying widget|model not found/i.test(o.textContent)).map(o => `shown: ${o.textContent.trim()}`);
    return failed.concat(shown);
}"""
PICTURES = """n => [...document.querySelectorAll('.jp-OutputArea-output')].filter(o =>
    [...o.querySelectorAll('img')].some(i => i.naturalWidth && i.offsetWidth) || o.querySelector('.main-svg')?.clientWidth).length === n"""

def open_notebook(page, lab, name):
    "Open `name`.ipynb in JupyterLab, in a workspace without other tabs, and wait until its kernel is ready"
    page.goto(lab.at(f'lab/workspaces/{uuid4().hex}'))
    page.wait_for_function('window.jupyterapp')
    page.evaluate(OPEN, f'{name}.ipynb')
    page.wait_for_function(READY)

def run_all(page, minutes=5):
    "Run all cells of the open notebook, and wait until the last one has ended; it is an error if one did not run"
    left = page.evaluate(RUN, minutes*MINUTE)
    assert not left, f'{len(left)} cells did not run in {minutes} minutes, the first is\n{left[0]}\n{errors(page)}'

def in_kernel(page, expression):
    "The value of a Python expression in the kernel of the open notebook"
    return ast.literal_eval(page.evaluate(KERNEL, expression))

def save(page):
    "Save the open notebook"
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

def shut_down(page):
    "Shut the kernel of the open notebook down"
    page.evaluate('window.jupyterapp.shell.currentWidget.sessionContext.shutdown()')

def open_app(page, app, theme='light'):
    "Open the page of Voila, 'light' or 'dark', and wait until its notebook has run"
    page.goto(app.at('', theme=theme), timeout=5*MINUTE)
    page.locator('#loading').wait_for(state='hidden')

def errors(page):
    "All that went wrong on a page so far: errors in the browser's console, uncaught ones, cells that failed, widgets that cannot be shown"
    return page.complaints + page.evaluate(ERRORS)

def wait_for_pictures(page, n):
    "Wait until `n` outputs on the page show a picture: an image that was loaded, or a figure that was drawn"
    page.wait_for_function(PICTURES, arg=n)

def use_theme(page, dark):
    "Make JupyterLab dark or light"
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f'JupyterLab {"Dark" if dark else "Light"}')
    page.wait_for_function('light => document.body.dataset.jpThemeLight === light', arg='false' if dark else 'true')
    page.locator('#jupyterlab-splash').wait_for(state='detached')

def screenshot(page, path, width=1280, height=900):
    "Save what a window of this size shows as a PNG file"
    page.set_viewport_size(dict(width=width, height=height))
    page.wait_for_timeout(1000) # figures draw themselves anew
    page.screenshot(path=path)

class Explorer:
    "An explorer as it is on a page"
    def __init__(self, page, at):
        self.page, self.at = page, at
        at.locator('.main-svg').first.wait_for()

    def click(self, name): self.at.get_by_role('button', name=name).click()

    def said(self): return self.at.locator('[role=status], [role=alert]').inner_text()

    def wait_for(self, words):
        self.at.locator('[role=status], [role=alert]').filter(has_text=re.compile(words)).wait_for()
        return self.said()

    def control(self, name):
        "The row of the setting of this name; opens More if it is there"
        row = self.at.locator('.widget-inline-hbox', has=self.page.get_by_text(name, exact=True))
        if not row.is_visible(): self.at.get_by_text('More', exact=True).click()
        return row

    def set(self, name, value):
        "Type a number into the field of this name"
        field = self.control(name).locator('input')
        field.fill(str(value))
        field.press('Enter')

    def press(self, name, key):
        "Focus the slider of this name and press a key"
        self.control(name).get_by_role('slider').focus()
        self.page.keyboard.press(key)

    def plot(self, code):
        "A value of what all views show: `plot.data` has their traces with the view as `meta`, `plot.titles` their titles"
        return self.at.evaluate(f"""at => {{
            const plots = [...at.querySelectorAll('.js-plotly-plot')].filter(o => o.data);
            const plot = {{data: plots.flatMap(o => o.data.map(t => ({{meta: o.dataset.view, ...t}}))), titles: plots.map(o => o.layout.title?.text ?? '')}};
            return {code};
        }}""")

    def points(self, view): return self.plot(f"Math.max(0, ...plot.data.filter(t => t.meta === '{view}').map(t => t.x?.length ?? 0))")

    def wait_for_points(self, view, n):
        self.page.wait_for_function("([at, view, n]) => at.querySelector(`[data-view=${view}]`)?.data?.some(t => t.x?.length >= n)",
                                    arg=[self.at.element_handle(), view, n])

    def titles(self): return self.plot('plot.titles')

    def title(self, words): return self.at.locator('.gtitle, .annotation-text').filter(has_text=re.compile(words)).first

    def wait_for_title(self, words): self.title(words).wait_for()

    def spent(self):
        "What the strip says that the API was asked in all"
        strip = self.at.get_by_text(re.compile(r'in all [\d,]+'))
        return int(re.search(r'in all ([\d,]+)', strip.inner_text())[1].replace(',', ''))

    def wait_for_gauge(self, n): self.at.get_by_text(re.compile(rf'(in all|run|^) ?{n:,}\b')).first.wait_for()

    def click_in(self, view, x, y, words):
        """Click at a place of a view, in parts of its width and height from the upper left, for a title with these words; again if it does not come,
        for the place moves while the figure is drawn anew"""
        at = self.at.locator(f'[data-view={view}] .draglayer .nsewdrag').first
        at.scroll_into_view_if_needed()
        for _ in range(20):
            box = at.bounding_box()
            self.page.mouse.click(box['x'] + x*box['width'], box['y'] + y*box['height'])
            self.page.wait_for_timeout(1000)
            if self.title(words).is_visible(): return
        self.wait_for_title(words)

# Accessibility

SERIOUS = 'serious', 'critical'

def barriers(page):
    "What axe-core finds on a page that keeps somebody out: rule, and the elements that break it"
    from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page).response['violations']
    return [(o['id'], [n['target'] for n in o['nodes']][:3]) for o in found if o['impact'] in SERIOUS]
