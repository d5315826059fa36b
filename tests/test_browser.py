"The notebooks as a reader meets them: in JupyterLab and Voila, with a real browser."
import re
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from PIL import Image, ImageStat

from bidf_mkd.lab import VIEW
from browser import HOSTS, Explorer, barriers, errors, interrupt, open_app, open_notebook, run_all, save, screenshot, serving, shut_down, use_theme, visit
from browser import wait_for_pictures
from project import NBS, code_cells, read

pytestmark = pytest.mark.xdist_group('browser') # one worker: one JupyterLab, one Chromium

EXPLORER = '.jupyter-widgets .js-plotly-plot'

def figures(name):
    "How many pictures a lesson shows"
    outputs = [o for c in code_cells(read(NBS/'tutorials'/f'{name}.ipynb')) for o in c.outputs]
    return sum(bool({'image/png', 'image/jpeg'} & set(o.get('data', {}))) for o in outputs)

def again(page, lab, name):
    "The notebook as somebody finds it who comes later: saved, its kernel gone, on a new page"
    save(page)
    shut_down(page)
    later = visit(page.context.browser)
    open_notebook(later, lab, name)
    return later

def play(page):
    "Run the first explorer of the page, and see what it spends"
    e = Explorer(page, page.locator('.bidf-explorer').first)
    before = e.spent()
    e.set('steps', 30)
    e.click('Run')
    while e.spent() <= before: page.wait_for_timeout(100)
    e.wait_for('done: step')
    e.wait_for_points('loss', 2)

LIVE = """figure => {
    const at = figure.getBoundingClientRect(), sheet = figure.querySelector('.im image').getBoundingClientRect();
    return [sheet.x - at.x, sheet.y - at.y];
}"""
PICTURE = """async img => {
    await img.decode();
    const { naturalWidth: w, naturalHeight: h } = img, g = new OffscreenCanvas(w, h).getContext('2d');
    g.drawImage(img, 0, 0);
    const { data } = g.getImageData(0, 0, w, h), opaque = (x, y) => data[4*(y*w + x) + 3] > 250, many = n => n > 60;
    const range = n => [...Array(n).keys()], scale = img.clientWidth/w, count = list => list.filter(Boolean).length;
    const x = range(w).find(x => many(count(range(h).map(y => opaque(x, y))))), y = range(h).find(y => many(count(range(w).map(x => opaque(x, y)))));
    return [img.offsetLeft + x*scale, img.offsetTop + y*scale];
}"""

def sheet_drawn(page):
    "Where the first sheet of a lesson begins, in the picture that is there first and in the live figure that comes when the mouse does"
    figure = page.locator('.jp-RenderedPlotly').first
    picture = figure.locator('img.plot-img').evaluate(PICTURE)
    figure.locator('img.plot-img').dispatch_event('mouseenter')
    figure.locator('.im image').wait_for()
    page.wait_for_timeout(1000) # JupyterLab takes a picture of it, which it saves
    return [picture, figure.evaluate(LIVE)]

def test_lesson(lab, page, tmp_path):
    "It runs without errors; its pictures are there, and are there again later"
    name = '1-black-box'
    open_notebook(page, lab, name)
    run_all(page)
    wait_for_pictures(page, figures(name))
    assert not errors(page)
    bright = {}
    for dark in False, True:
        use_theme(page, dark)
        for width in 1280, 1920:
            screenshot(page, tmp_path/'page.png', width)
            shot = Image.open(tmp_path/'page.png').convert('L')
            assert shot.width == width
            bright[dark, width] = ImageStat.Stat(shot).mean[0]
    use_theme(page, dark=False)
    assert all(bright[False, w] > 150 > 100 > bright[True, w] for w in (1280, 1920)), bright
    places = sheet_drawn(page)
    later = again(page, lab, name)
    wait_for_pictures(later, figures(name))
    places += sheet_drawn(later)
    assert max(abs(a - b) for p in places for a, b in zip(p, places[0])) <= 4, places
    assert not errors(page) + errors(later)

def test_explorer(lab, page):
    "A widget is alive, also after it was saved; later there is its picture"
    open_notebook(page, lab, 'explorers')
    wait_for_pictures(page, 1)
    assert not page.locator(EXPLORER).count()
    run_all(page)
    play(page)
    save(page)
    play(page)
    assert not errors(page)
    assert VIEW not in (lab.folder/'explorers.ipynb').read_text(encoding='utf-8')
    later = again(page, lab, 'explorers')
    wait_for_pictures(later, 1)
    assert not later.locator(EXPLORER).count() and not errors(later)

def test_app(app, page):
    "The same as a page without code"
    open_app(page, app)
    play(page)
    page.get_by_role('tab', name='Your task').click()
    page.locator('canvas[role=img]').filter(visible=True).click()
    page.get_by_text('Add drawing makes it an example').wait_for()
    assert not errors(page) and not page.get_by_text('import').count() and not page.get_by_text('Open examples').count(), 'files of the server are nobody\'s'

def test_visitors_have_budgets_of_their_own(app, page):
    "A page asks no other machine for anything; what one visitor spends, another does not see"
    first, second = (visit(page.context.browser) for _ in range(2))
    asked = []
    for o in first, second:
        o.on('request', lambda r: asked.append(urlsplit(r.url).hostname))
        open_app(o, app)
    spent = [Explorer(o, o.locator('.bidf-explorer').first) for o in (first, second)]
    before = spent[1].spent()
    play(first)
    assert spent[0].spent() > before == spent[1].spent()
    assert {o for o in asked if o} <= set(HOSTS)
    assert not errors(first) + errors(second)
    for o in first, second: o.context.close()

@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_keeps_no_visitor_out(app, page, theme):
    "axe-core finds no serious barrier in any tab"
    open_app(page, app, theme)
    Explorer(page, page.locator('.bidf-explorer').first)
    for tab in page.get_by_role('tab').all():
        tab.click()
        page.locator('.main-svg').filter(visible=True).first.wait_for()
        assert not barriers(page), tab.inner_text()

def test_the_map_comes_first(lab, page):
    "JupyterLab opens it, and a link leads to a lesson"
    page.goto(lab.at(''))
    page.wait_for_url('**/0-start.ipynb*')
    page.get_by_role('link', name='3 From answers to images').click()
    page.get_by_role('heading', name='Lesson 3').wait_for()

def test_errors_are_seen(lab, page):
    "A widget whose kernel is gone, an error of a cell and one of the browser are told"
    lost = nbformat.v4.new_output('display_data', {VIEW: dict(version_major=2, version_minor=0, model_id='gone'), 'text/plain': 'a widget'})
    cells = [nbformat.v4.new_code_cell('from IPython.display import Javascript; display(Javascript("console.error(\'from a script\')"))', outputs=[lost]),
             nbformat.v4.new_code_cell('1/0'), nbformat.v4.new_code_cell('2')]
    broken = nbformat.v4.new_notebook(cells=cells, metadata=read(NBS/'index.ipynb').metadata)
    nbformat.write(broken, lab.folder/'broken.ipynb')
    NotebookNotary(data_dir=str(lab.folder.parent/'data')).sign(broken) # JupyterLab shows widgets in notebooks that it trusts
    open_notebook(page, lab, 'broken')
    page.get_by_text('model not found').wait_for()
    assert 'model not found' in ' '.join(errors(page))
    with pytest.raises(AssertionError, match='1 cells did not run(.|\n)*ZeroDivisionError'): run_all(page)
    assert any('from a script' in e for e in errors(page))

def test_lab_keeps_files_and_leaves_no_process(tmp_path):
    "A lesson that was changed stays as it is. Ctrl-C ends the server, as it does with those of the other tests, which have kernels"
    mine = tmp_path/'notebooks'/'2-zeroth-order.ipynb'
    mine.parent.mkdir()
    mine.write_text('my notes')
    with serving(tmp_path) as lab: interrupt(lab.process, lab.log)
    assert re.search(r'^Open http://127\.0\.0\.1:\d+/lab\?token=\w+$', lab.log.read_text(), re.M)
    tutorials = len(list((NBS/'tutorials').glob('*.ipynb')))
    assert f'copied {tutorials - 1} notebooks to' in lab.log.read_text() and '(1 kept)' in lab.log.read_text() and mine.read_text() == 'my notes'
