"The explorers in JupyterLab and on a page of Voila, with real clicks and keys: what is on the page is what was done."
import base64, io, re, zipfile
from itertools import product

import nbformat
import numpy as np
import pytest
from PIL import Image

from bidf_mkd.data import draw
from bidf_mkd.viz.style import contrast

from browser import Explorer, errors, in_kernel, open_notebook, run_all, use_theme, visit
from project import NBS, read

pytestmark = pytest.mark.xdist_group('browser') # one worker: one JupyterLab, one Chromium

SETUP = """
import torch
from bidf_mkd import viz
from bidf_mkd.api import Api
from bidf_mkd.apps import AskExplorer, BoundaryExplorer, EstimatorLab, RecoveryExplorer, TaskExplorer, TrainingMonitor
from bidf_mkd.models import conv4, seeded
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train
from bidf_mkd.zoo import classify

model, student = (seeded(i, conv4, 3, 3, 16).eval().requires_grad_(False) for i in (0, 1))
def black_box(budget=100_000): return Api(classify(model), 'abc', (3, 16, 16), budget)
cfg = Config(procedural=40, images=3, query=2, steps=4, replay_steps=2, joint_steps=100, final_steps=2, distil_inner_steps=1, inner_steps=1, budget=5000)
memory = Memory()
colours = Api(lambda x: (20*x.mean((2, 3))).softmax(1), 'abc', (3, 16, 16), 100_000) # red, green or blue: images of different classes
tints = (1 + torch.eye(3))[[0, 1, 2]*2].view(6, 3, 1, 1)/2
viz.show(viz.curves([dict(n_queries=i, loss=3 - i) for i in range(3)], 'loss', title='A figure that is no explorer'))
"""
APPS = dict(
    recovery='recovery = RecoveryExplorer(black_box(), recipe="cheapest"); recovery',
    boundary='boundary = BoundaryExplorer(colours, student, torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))*tints); boundary',
    asking='ask = AskExplorer(black_box(), student, boundary); ask',
    lab='lab = EstimatorLab(black_box(), model); lab',
    monitor='monitor = TrainingMonitor(meta_train(seeded(2, conv4, 3, 3, 16), [black_box(), black_box()], cfg, memory=memory), memory, cfg.budget); monitor',
    own='own = TaskExplorer(model, ["rose", "thorn"]); own')

@pytest.fixture(scope='module')
def opened(chromium, lab):
    "A notebook with all explorers, that has run in JupyterLab"
    cells = [nbformat.v4.new_code_cell(o.strip()) for o in (SETUP, *APPS.values())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=read(NBS/'index.ipynb').metadata), lab.folder/'apps.ipynb')
    page = visit(chromium)
    page.set_viewport_size(dict(width=1400, height=1000))
    open_notebook(page, lab, 'apps')
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    run_all(page)
    yield page
    page.context.close()

@pytest.fixture
def explorer(opened, request):
    at = opened.locator('.jp-Cell').nth(1 + list(APPS).index(request.param))
    at.scroll_into_view_if_needed()
    yield Explorer(opened, at)
    assert not errors(opened)

def of(name): return pytest.mark.parametrize('explorer', [name], indirect=True)

def test_contrast_of_a_plain_figure(opened):
    "As a still, and as the live figure that it becomes under the mouse, in both themes; before any other test moves the mouse"
    figure = opened.locator('.jp-Cell').first.locator('.jp-RenderedPlotly')
    figure.scroll_into_view_if_needed()
    for part, dark in product(('img.plot-img', '.plot-container'), (False, True)):
        use_theme(opened, dark)
        if part != 'img.plot-img' and not dark: figure.locator('img').dispatch_event('mouseenter')
        title = np.asarray(Image.open(io.BytesIO(figure.locator(part).screenshot())).convert('RGB'))[4:36, 4:300].reshape(-1, 3)
        colours, counts = np.unique(title, axis=0, return_counts=True)
        ground, *inks = ('#' + bytes(o).hex() for o in colours[np.argsort(-counts)])
        assert (contrast(ground, '#000000') < 3) == dark
        assert max(contrast(o, ground) for o in inks) >= 4.5, (part, dark)
    use_theme(opened, False)

@of('recovery')
def test_recovery(explorer, opened):
    e = explorer
    e.set('images', 2)
    e.set('steps', 10_000)
    e.set('stop loss', 0)
    e.set('budget', 90_000)
    e.click('Run')
    e.wait_for('running: step')
    e.wait_for_title('^Step [1-9]')
    first, sheet = e.points('loss'), e.plot("plot.data.find(t => t.type === 'image').source")
    e.wait_for_points('loss', first + 1)
    assert e.plot("plot.data.find(t => t.type === 'image').source") != sheet

    e.click('Pause')
    e.wait_for('paused')
    opened.wait_for_timeout(2000) # the step that was begun
    paused = in_kernel(opened, 'recovery.api.n_queries')
    opened.wait_for_timeout(2000)
    assert in_kernel(opened, 'recovery.api.n_queries') == paused and in_kernel(opened, 'recovery.state') == 'paused'
    e.click('Run')
    e.wait_for('running')
    opened.wait_for_timeout(1000)
    e.click('Stop')
    e.wait_for('stopped: step')
    spent = in_kernel(opened, 'recovery.api.n_queries')
    e.wait_for_gauge(spent)
    assert spent > paused and e.points('loss') == in_kernel(opened, 'len(recovery.records)')

    newest = e.titles()[0]
    e.press('step shown', 'ArrowLeft')
    e.wait_for_title(f'^Step (?!{re.escape(newest[5:])})')
    e.click_in('images', .75, .5, r'^Image 3 \(target: b\)')
    for key, image in ('ArrowUp', 'Image 1 (target: a)'), ('ArrowLeft', 'Image 0 (target: a)'), ('ArrowDown', 'Image 2 (target: b)'):
        e.at.locator('[data-view=images]').press(key)
        e.wait_for_title(f'^{re.escape(image)}')
    e.click('Keep')
    e.wait_for('kept step')
    assert in_kernel(opened, '(len(recovery.memory), recovery.api.n_queries)') == (6, spent), 'looking costs nothing'

@of('boundary')
def test_boundary(explorer, opened):
    e = explorer
    e.wait_for_title('^The plane through three images · 0 queries')
    e.click('Map the plane')
    e.wait_for('done')
    e.wait_for_title('three images · 441 queries')
    e.wait_for_gauge(441)
    assert in_kernel(opened, 'boundary.api.n_queries') == 441
    e.press('lambda', 'ArrowRight')
    while in_kernel(opened, "boundary.values['lam']") <= 1: opened.wait_for_timeout(100)
    e.click('Run')
    e.wait_for('done: step 20')
    e.wait_for_title('Query images')
    spent = in_kernel(opened, 'boundary.api.n_queries')
    e.wait_for_gauge(spent)
    assert e.points('divergence') == 21
    assert e.plot("plot.data.filter(t => t.name === 'boundary query').length") == 3
    e.click_in('images', .1, .25, '^query 0')
    e.click_in('plane', .93, .07, r'^-?\d+\.\d, -?\d+\.\d')
    assert in_kernel(opened, 'boundary.api.n_queries') == spent, 'all that was known'
    assert e.plot("plot.data.filter(t => t.meta === 'answers').map(t => t.name).join()") == 'API,student'
    e.click('Walk a to b')
    e.wait_for_title('^Walk.* · 16 queries')
    walked = in_kernel(opened, 'boundary.api.n_queries')
    assert walked - spent == 16 and e.points('walk') == 33, 'the student has been asked at more places'
    plane = e.at.locator('[data-view=plane]')
    e.control('grid').locator('select').select_option(index=0)
    e.wait_for_title('three images · 0 queries')
    for key in 'ArrowRight', 'ArrowUp': plane.press(key)
    e.wait_for_title('Enter asks')
    assert in_kernel(opened, 'boundary.api.n_queries') == walked, 'moving is free'
    plane.press('Enter')
    e.wait_for_title('Answers · 1 query')
    assert in_kernel(opened, 'boundary.api.n_queries') == walked + 1

def test_a_mistake_is_seen(opened):
    "A sentence in the window, at the buttons"
    e = Explorer(opened, opened.locator('.jp-Cell').nth(1 + list(APPS).index('boundary')))
    opened.set_viewport_size(dict(width=1280, height=800))
    e.set('corner a', in_kernel(opened, "boundary.values['corner_b']"))
    assert 'three different images' in e.wait_for('corners')
    top = bounds(e.at.locator('[role=alert]'))[1]
    assert 0 <= top < 800 and top - bounds(e.at.get_by_role('button', name='Run'))[3] < 100
    e.set('corner a', 0)
    assert not errors(opened)

@of('asking')
def test_ask(explorer, opened, tmp_path):
    "Draw: the student answers for nothing, the API for one query; the image becomes a corner of the plane"
    e = explorer
    e.click('Ask')
    e.wait_for('there is no image yet')
    stroke(e, (.2, .2), (.8, .8))
    e.wait_for('Ask sends it')
    assert in_kernel(opened, 'ask.api.n_queries') == 0 and e.plot("plot.data.filter(t => t.meta === 'answers').map(t => t.name).join()") == 'student'
    e.click('Ask')
    e.wait_for('the API predicts')
    e.click('Keep')
    e.wait_for('1 kept, the last as corner c')
    assert in_kernel(opened, "(ask.api.n_queries, len(boundary.images), boundary.values['corner_c'])") == (1, 7, 6)
    Image.fromarray(draw('8', 1, 24)[0].movedim(0, -1).numpy()).save(tmp_path/'eight.png')
    upload(e, tmp_path/'eight.png')
    e.wait_for('Ask sends it')
    e.click('Ask')
    e.wait_for_title('Asked about · 2 queries')
    e.click_in('asked', .01, .5, '^Asked')
    e.wait_for('the answer is known')
    assert in_kernel(opened, 'ask.api.n_queries') == 2

@of('lab')
def test_estimator(explorer, opened):
    e = explorer
    for n, q in enumerate((4, 8), 1):
        e.set('q', q)
        e.click('Run')
        e.wait_for(f'done: dct8, q {q}')
        e.wait_for_points('quality', n)
    assert e.plot("plot.data.filter(t => t.meta === 'loss').map(t => t.name).join()") == 'dct8, q 4, mu 0.5,dct8, q 8, mu 0.5'
    e.wait_for_gauge(in_kernel(opened, 'lab.api.n_queries'))
    e.set('budget', 10)
    e.click('Run')
    assert 'cost 108 queries, got 10' in e.wait_for('budget: an estimate')

@of('monitor')
def test_training(explorer, opened):
    e = explorer
    e.click('Run')
    e.wait_for('running: visit')
    e.click('Pause')
    e.wait_for('paused')
    opened.wait_for_timeout(1000)
    held = in_kernel(opened, 'len(monitor.records)')
    opened.wait_for_timeout(1000)
    assert in_kernel(opened, 'len(monitor.records)') == held > 0 and in_kernel(opened, '1 + 1') == 2
    e.click('Run')
    e.wait_for('done: visit')
    e.wait_for_gauge(in_kernel(opened, "monitor.records[-1]['n_queries']"))
    assert e.points('memory') == in_kernel(opened, 'len(monitor.records)') > held and any(t.startswith('Recovered last') for t in e.titles())
    e.click('Save')
    e.wait_for('records saved to training')

DROP = """text => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt())], 'dropped.png'));
    return data;
}"""

ANSWER = "JSON.stringify(plot.data.filter(t => t.meta === 'answer').map(t => t.x))"

def upload(e, *paths):
    with e.page.expect_file_chooser() as chooser: e.click('Upload')
    chooser.value.set_files([str(p) for p in paths])

def stroke(e, *places):
    "Draw a line on the pad, through places in parts of its size"
    box = e.at.locator('canvas[role=img]').bounding_box()
    for i, (x, y) in enumerate(places):
        e.page.mouse.move(box['x'] + x*box['width'], box['y'] + y*box['height'], steps=5)
        if not i: e.page.mouse.down()
    e.page.mouse.up()

@of('own')
def test_own_task(explorer, opened, tmp_path):
    "Upload, draw, drop, choose by keyboard and by click; the answer follows, a mistake is a sentence, and everything can be downloaded"
    e, files = explorer, {}
    for name, sign in dict(rose='8', thorn='Ж').items():
        files[name] = [tmp_path/f'{name}{i}.png' for i in range(3)]
        for p, x in zip(files[name], draw(sign, 3, 24)): Image.fromarray(x.movedim(0, -1).numpy()).save(p)
    (tmp_path/'broken.png').write_bytes(b'no image')
    classes = e.at.get_by_label('class', exact=True)
    assert 'no query is spent' in e.said()
    stroke(e, (.2, .2), (.8, .8))
    e.wait_for('Add drawing makes it an example of rose')
    classes.select_option(index=0)
    stroke(e, (.2, .8), (.8, .8))
    e.wait_for('at least two classes, got 0')
    for i, name in enumerate(files, 1):
        classes.select_option(index=i)
        upload(e, *files[name])
        e.wait_for(f'3 added to {name}')
    e.wait_for_title('^(unsure: )?(rose|thorn).* · 0 queries')
    before = e.plot(ANSWER)
    classes.select_option(index=0)
    stroke(e, (.8, .2), (.2, .8))
    while e.plot(ANSWER) == before: opened.wait_for_timeout(100)
    assert in_kernel(opened, '(len(own.task.unnamed), own.probs.shape, own.classifier.classes_.tolist())') == (1, (1, 2), ['rose', 'thorn'])
    upload(e, tmp_path/'broken.png')
    assert 'broken.png is not a readable image' in e.wait_for('0 added') and e.at.locator('[role=alert]').is_visible()
    e.click('Add drawing')
    dropped = opened.evaluate_handle(DROP, base64.b64encode(files['rose'][0].read_bytes()).decode())
    e.at.locator('canvas[role=img]').dispatch_event('drop', dict(dataTransfer=dropped))
    e.wait_for('1 added to the images to be named')
    e.click_in('pictures', .05, .1, '^Image')
    with opened.expect_download() as saved:
        e.at.get_by_text('More', exact=True).click()
        e.click('Download')
    with zipfile.ZipFile(saved.value.path()) as z:
        assert z.read('examples/thorn/001.png') == files['thorn'][1].read_bytes() and {'new/001.png', 'classifier.safetensors'} <= set(z.namelist())

CONTROLS = """at => [...at.querySelectorAll('input, select, [role=slider]')].map(o => [o.ariaLabel || o.labels?.[0]?.textContent || '', o.title])"""

def bounds(at):
    "Left, top, right and bottom of what is seen of an element"
    box = at.bounding_box()
    return box['x'], box['y'], box['x'] + box['width'], box['y'] + box['height']

PARTS = '.bidf-view, button, input, select, canvas, label, [role=status], [role=alert], .jupyter-widget-Collapse-header'

def empty_share(at):
    "The largest empty rectangle of an explorer, as a share of its area: by squares of ten pixels"
    left, top, right, bottom = bounds(at)
    free = np.ones((int(bottom - top)//10, int(right - left)//10), int)
    for part in at.locator(PARTS).all():
        if not part.is_visible(): continue
        l, t, r, b = (int(v)//10 for v in np.subtract(bounds(part), (left, top, left, top)))
        free[max(0, t):b + 1, max(0, l):r + 1] = 0
    heights, best = np.zeros(free.shape[1], int), 0
    for row in free: # how many free squares are above each, down to this row
        heights = (heights + 1)*row
        best = max(best, *(h*max(map(len, ''.join('x' if o >= h else ' ' for o in heights).split())) for h in set(heights) - {0}), 0)
    return best/free.size

@pytest.mark.parametrize('width, height', [(1280, 800), (1920, 1080)])
@pytest.mark.parametrize('name', APPS)
def test_layout(name, width, height, opened):
    "An explorer is inside 1200 x 640, in a window of either size; figures inside it, controls with a name and an explanation"
    opened.set_viewport_size(dict(width=width, height=height))
    at = opened.locator('.bidf-explorer').nth(list(APPS).index(name))
    at.scroll_into_view_if_needed()
    if at.locator('.jupyter-widget-Collapse-open').count(): at.get_by_text('More', exact=True).click()
    opened.wait_for_timeout(1000) # figures draw themselves anew
    left, top, right, bottom = bounds(at)
    assert right - left <= 1200 and bottom - top <= 640, (right - left, bottom - top)
    for view in at.locator('.bidf-view').all():
        l, t, r, b = bounds(view)
        assert left <= l < r <= right + 1 and top <= t < b <= bottom + 1, view.get_attribute('data-view')
    assert empty_share(at) < .25
    buttons, message = ('Run', 'Pause', 'Stop'), bounds(at.locator('[role=status], [role=alert]'))
    if name == 'own': assert 0 < message[1] - bounds(at.get_by_role('button', name='Rename'))[3] < 20, 'likewise'
    elif name == 'asking': assert 0 < message[1] - bounds(at.locator('canvas'))[3] < 20, 'likewise'
    else:
        assert all(bounds(at.get_by_role('button', name=n))[3] < top + 40 for n in buttons)
        assert message[3] < top + 150, 'the message is right under the buttons'
    controls = at.evaluate(CONTROLS)
    assert (controls or name == 'asking') and not [(name, about) for name, about in controls if not name or about in ('', 'null', name)]

SHADES = """at => {
    const shade = css => { const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number); return {rgb: [r, g, b], a}; };
    let page = at;
    while (page && shade(getComputedStyle(page).backgroundColor).a < 1) page = page.parentElement;
    const ground = page ? shade(getComputedStyle(page).backgroundColor).rgb : [255, 255, 255];
    const over = ({rgb, a}) => rgb.map((v, i) => Math.round(a*v + (1 - a)*ground[i]));
    const all = (where, what) => [...at.querySelectorAll(where)].map(o => getComputedStyle(o)[what]).filter(o => o.startsWith('rgb')).map(o => over(shade(o)));
    const words = all('.bidf-view text', 'fill').concat(all('.widget-label, [role=status], [role=alert]', 'color'));
    return {ground, words, lines: all('.scatterlayer .js-line', 'stroke')};
}"""

@pytest.mark.parametrize('dark', [False, True])
def test_contrast(dark, opened):
    "Words have 4.5 to 1 on the page, lines 3 to 1, in both themes"
    use_theme(opened, dark)
    opened.wait_for_timeout(1000)
    colour, lines = lambda rgb: '#' + bytes(rgb).hex(), 0
    for name in APPS:
        found = opened.locator('.bidf-explorer').nth(list(APPS).index(name)).evaluate(SHADES)
        ground = colour(found['ground'])
        assert (contrast(ground, '#000000') < 3) == dark and found['words']
        assert min(contrast(colour(o), ground) for o in found['words']) >= 4.5, name
        assert all(contrast(colour(o), ground) >= 3 for o in found['lines']), name
        lines += len(found['lines'])
    assert lines > 5
    use_theme(opened, False)

def test_an_error_is_a_sentence(opened):
    "An API that is out of order: the explorer says so, and goes on being one"
    in_kernel(opened, "setattr(recovery.api, 'f', None)")
    e = Explorer(opened, opened.locator('.jp-Cell').nth(1))
    e.click('Run')
    assert 'TypeError' in e.wait_for('the API failed') and e.at.get_by_role('button', name='Run').is_enabled()
    assert not errors(opened)
