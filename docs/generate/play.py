"""What docs/play.md shows: figures that move without an API, a kernel or a server, computed here once.

python docs/generate/play.py DEMO writes docs/play.json; DEMO is the folder of a finished `bidf-mkd demo`, whose model learns the task."""
import json, sys
from pathlib import Path

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch.func import functional_call

from bidf_mkd import viz
from bidf_mkd.api import Api
from bidf_mkd.data import Episodes, draw, glyphs
from bidf_mkd.distillation import adapt, kd_loss
from bidf_mkd.evaluation import fit_classifier, predict_logits
from bidf_mkd.models import conv4, load_tensors, seeded
from bidf_mkd.recovery import RECIPES, along, recover
from bidf_mkd.viz.stills import image_uri
from bidf_mkd.viz.style import COLOURS, INK, STYLE
from bidf_mkd.zoo import classify, fit

PAGE = Path(__file__).resolve().parents[1]/'play.json'
LETTERS, SCALE, GAP = list('LOTVX'), 4, 1
SHOWN = 24, 100, 250, 500, 1000, 1500, 2000, 2500, 3000 # queries per image at which a recovery is shown

def uri(images, columns):
    "A sheet of images as the source of a plotly image"
    return image_uri(viz.sheet_image(images, columns, SCALE, GAP), quality=80)

def centres(n):
    "Where the images of a sheet are, in its pixels"
    return [(i*(32 + GAP) + 15.5)*SCALE for i in range(n)]

def figure(traces_above, traces_below, heights, **layout):
    "A sheet above, curves below"
    fig = make_subplots(2, 1, row_heights=heights, vertical_spacing=.12)
    for row, traces in enumerate((traces_above, traces_below), 1):
        for o in traces: fig.add_trace(o, row, 1)
    return fig.update_layout(template=STYLE, height=460, margin=dict(l=50, r=10, t=40, b=10), hovermode=False, dragmode=False, **layout)

def with_slider(fig, frames, words):
    "A figure with frames for the slider of the page: label -> (numbers of the traces that change, what they change to)"
    fig.frames = [go.Frame(name=name, data=data, traces=traces) for name, (traces, data) in frames.items()]
    return fig.update_layout(meta=words)

def classifier(seed, steps):
    x, y = torch.cat([draw(c, 60, seed=seed) for c in LETTERS]), torch.arange(5).repeat_interleave(60)
    return fit(seeded(seed, conv4, 5), x, y, steps=steps)

def recovery(secret):
    "Images emerge: a slider of queries"
    api = Api(classify(secret), LETTERS, (3, 32, 32), 100_000)
    records = [(r.n_queries//5, r.images, r.loss.mean().item()) for r in recover(api, torch.arange(5), **RECIPES['readable'])]
    shown = [min(records, key=lambda r: abs(r[0] - n)) for n in SHOWN]
    sheet = lambda images: go.Image(source=uri(images, 5), hoverinfo='skip')
    at = lambda n, loss: go.Scatter(x=[n], y=[loss], mode='markers', marker=dict(size=12, color=COLOURS[3]), showlegend=False)
    curve = go.Scatter(x=[r[0] for r in records[::5]], y=[r[2] for r in records[::5]], line_color=COLOURS[0], showlegend=False)
    fig = figure([sheet(shown[0][1])], [curve, at(shown[0][0], shown[0][2])], [.45, .55])
    fig.update_xaxes(row=1, side='top', tickvals=centres(5), ticktext=LETTERS, ticks='', showgrid=False)
    fig.update_yaxes(row=1, visible=False)
    fig.update_xaxes(row=2, title_text='queries per image').update_yaxes(row=2, title_text='loss (nats)', rangemode='tozero')
    return with_slider(fig, {f'{n:,}': ([0, 2], [sheet(x), at(n, loss)]) for n, x, loss in shown}, 'queries per image')

def walk(secret):
    "From one image to another: the API and a student change their minds at different places"
    net, api = classifier(1, 8), Api(classify(secret), LETTERS, (3, 32, 32))
    support = torch.cat([draw(c, 3, seed=2) for c in LETTERS])/255
    p = api(support)
    params = adapt(net, lambda w: kd_loss(functional_call(net, w, (support,)), p), lr=.01, steps=10)
    student = lambda x: functional_call(net, params, (x,)).softmax(1).detach()
    a, b = (draw(c, 1, seed=3)[0]/255 for c in 'VX')
    blend = lambda s: (a + s*(b - a))[None]
    shares = [i/20 for i in range(21)]
    sheet = lambda s: go.Image(source=uri(torch.cat([blend(0), blend(s), blend(1)]), 3), hoverinfo='skip')
    line = lambda s: go.Scatter(x=[s, s], y=[0, 1], mode='lines', line=dict(color=INK, width=2), showlegend=False)
    curves, flips = [], []
    for colour, (name, f) in zip(COLOURS, {'API': api, 'student': student}.items()):
        places, answers, flip = along(f, a[None], b[None], len(shares))
        of_two = answers[:,4]/answers[:,3:].sum(1) # of X among V and X
        curves.append(go.Scatter(x=places.tolist(), y=of_two.tolist(), name=name, line_color=colour))
        flips.append(go.Scatter(x=[flip], y=[.5], mode='markers', showlegend=False, marker=dict(size=11, symbol='diamond', color=colour)))
    fig = figure([sheet(0.)], [*curves, *flips, line(0.)], [.4, .6], legend=dict(orientation='h', x=0, y=.6, yanchor='bottom'))
    fig.update_xaxes(row=1, side='top', tickvals=centres(3), ticktext=['a V', 'here', 'an X'], ticks='', showgrid=False).update_yaxes(row=1, visible=False)
    fig.update_xaxes(row=2, title_text='share of the X in the image').update_yaxes(row=2, title_text='answer: X', range=[-.05, 1.05])
    return with_slider(fig, {f'{s:.0%}': ([0, 5], [sheet(s), line(s)]) for s in shares}, 'share of the X')

def task(demo):
    "A task of new characters, before and after learning from APIs"
    x, y, _ = glyphs('meta_test')
    t = next(iter(Episodes(x, y, shot=1, query=5, n=1, seed=4)))
    model = seeded(0, conv4, 5)
    def right():
        logits = predict_logits(fit_classifier(model, t.xs, t.ys, 'prototype'), t.xs, t.ys, t.xq, 'prototype', transductive=False)
        return (logits.argmax(1) == t.yq)[t.yq.argsort(stable=True)].tolist()
    before = right()
    model.load_state_dict(load_tensors(demo/'model.safetensors', 'model')[0])
    states = {'before learning': before, 'after learning': right()}
    rows = torch.cat([torch.cat([t.xs[t.ys == k], t.xq[t.yq == k]]) for k in range(5)])
    places = [(centres(6)[c], centres(5)[r]) for r in range(5) for c in range(1, 6)]
    def frames(hit):
        "A line around each image: unbroken where it is named rightly, dotted elsewhere"
        def around(wanted, name, look):
            corners = [(x + i*h, y + j*h) for (x, y), o in zip(places, hit) if o == wanted for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
            broken = [p for k, p in enumerate(corners) for p in [p] + [(None, None)]*(k % 5 == 4)]
            return go.Scatter(x=[p[0] for p in broken], y=[p[1] for p in broken], mode='lines', name=name, line=look)
        h = 15*SCALE
        return [around(True, 'right', dict(color=COLOURS[2], width=5)), around(False, 'wrong', dict(color=COLOURS[3], width=3, dash='dot'))]
    fig = go.Figure([go.Image(source=uri(rows, 6), hoverinfo='skip'), *frames(before)]).update_layout(
        legend=dict(orientation='h', x=0, y=0, yanchor='top'),
        template=STYLE, height=480, margin=dict(l=10, r=10, t=40, b=10), hovermode=False, dragmode=False)
    fig.update_xaxes(side='top', tickvals=[centres(6)[0], centres(6)[3]], ticktext=['shown once', 'to be named'], ticks='', showgrid=False)
    fig.update_yaxes(visible=False)
    return with_slider(fig, {f'{k}: {sum(v)} of 25 right (by chance 5)': ([1, 2], frames(v)) for k, v in states.items()}, 'the model')

if __name__ == '__main__':
    secret = classifier(0, 60)
    figures = dict(recovery=recovery(secret), walk=walk(secret), task=task(Path(sys.argv[1])))
    PAGE.write_text(json.dumps({k: json.loads(f.to_json()) for k, f in figures.items()}), encoding='utf-8')
    for k, f in figures.items(): print(f'{k}: {len(f.to_json())/1000:.0f} kB')
