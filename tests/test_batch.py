"Sweeps: killed in the middle, failing, shared by two, on processes and on Dask; and the experiments that come along."
import io, json, os, signal, time
from dataclasses import fields
from threading import Thread

import nbformat
import pandas as pd
import papermill
import psutil
import pytest
from distributed import LocalCluster

from bidf_mkd.api import Api
from bidf_mkd.journal import Journal
from bidf_mkd.batch import complete_params, defaults, find_file, grid, plan_runs, read_json, read_preset, read_sweep, results, sweep, workers
from bidf_mkd.demo import PLANS
from bidf_mkd.training import PRESETS, Config
from project import NBS, ROOT, code_cells, command, command_here, finish, read

PARAMETERS = "x = 1  # a number\nseconds = 0.1  # to sleep\nout = ''  # folder of the run"
WORK = """import json, os, pathlib, time
folder = pathlib.Path(out)
assert x != 13, 'bad luck'
(folder/'worker').write_text(str(os.getppid()))
with open(folder/'begun', 'a') as f: f.write('.')
time.sleep(seconds)"""
END = """with open(folder/'ended', 'a') as f: f.write('.')
(folder/'metrics.json').write_text(json.dumps(dict(y=x*x)))"""

@pytest.fixture
def toy(tmp_path):
    "A notebook that sleeps, and counts how often it began and ended"
    cells = [nbformat.v4.new_code_cell(s, metadata=dict(tags=t)) for s, t in ((PARAMETERS, ['parameters']), (WORK, []), (END, []))]
    kernel = dict(kernelspec=dict(name='python3', display_name='python3', language='python'))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path/'toy.ipynb')
    return tmp_path/'toy.ipynb'

def said(*args, **env): return finish(command(*args, **env))

def wait_until(true, seconds=120):
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, 'waited in vain'
        time.sleep(.05)
    return found

def row(table): return table.set_index('x').y.sort_index().to_dict()

def count(out, name): return [len(p.read_text()) for p in sorted(out.glob(f'*/{name}'))]

def write_sweep(path, **settings):
    path.write_text(json.dumps(settings))   # yaml, too
    return path

def test_a_killed_worker_loses_and_doubles_nothing(toy, tmp_path):
    params = grid(x=list(range(6)), seconds=2.)
    def at_work(): # runs of two seconds that began less than one ago
        return [p.with_name('worker') for p in (tmp_path/'dask').glob('*/begun') if time.time() - p.stat().st_mtime < 1]
    with workers('dask', 2) as executor:
        killed = []
        def kill():
            worker, *_ = wait_until(lambda: len(count(tmp_path/'dask', 'ended')) >= 2 and at_work())
            killed.append(os.kill(int(worker.read_text()), signal.SIGKILL))
        thread = Thread(target=kill)
        thread.start()
        table = sweep(toy, params, tmp_path/'dask', executor)
        thread.join()
    assert killed and (table.state == 'done').all() and len(table) == 6
    assert count(tmp_path/'dask', 'ended') == [1]*6                    # each was brought to its end once
    assert sum(count(tmp_path/'dask', 'begun')) in (6, 7)              # the one that was cut off began twice
    serial = sweep(toy, grid(x=list(range(6)), seconds=0.), tmp_path/'serial')
    assert row(table) == row(serial) == {x: x*x for x in range(6)}

def test_a_cluster_that_is_there_already(toy, tmp_path):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[2, 3]))
        code, out, err = said('sweep', path, '--executor', 'dask', '--scheduler', cluster.scheduler_address)
        assert code == 0 and row(results(tmp_path/'out')) == {2: 4, 3: 9}, err
        with pytest.raises(ValueError, match='none of the 1 workers'):                 # not: waits for ever
            with workers('dask', scheduler=cluster.scheduler_address, gpus=True): pass

def test_a_killed_sweep_goes_on(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2, 3, 4]), params=dict(seconds=1.5))
    process = command('sweep', path)
    wait_until(lambda: len(count(tmp_path/'out', 'begun')) == 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sorted(results(tmp_path/'out').state) == ['done', 'done', 'interrupted', 'queued']
    code, out, err = said('sweep', path, '--executor', 'processes')
    assert code == 0, err
    assert count(tmp_path/'out', 'ended') == [1]*4 and sum(count(tmp_path/'out', 'begun')) == 5
    assert '2 done before' in out and (tmp_path/'out'/'report.html').exists()
    code, out, err = command_here('results', tmp_path/'out', '--csv')
    assert code == 0 and row(pd.read_csv(io.StringIO(out))) == {1: 1, 2: 4, 3: 9, 4: 16}
    code, out, err = command_here('results', tmp_path/'out', '--parquet')
    assert code == 0 and row(pd.read_parquet(tmp_path/'out'/'results.parquet')) == {1: 1, 2: 4, 3: 9, 4: 16}, err

def test_ctrl_c_keeps_what_is_done(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2, 3]), params=dict(seconds=2.))
    process = command('sweep', path)
    wait_until(lambda: len(count(tmp_path/'out', 'begun')) == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and 'go on with: bidf-mkd sweep' in err
    assert sorted(results(tmp_path/'out').state) == ['done', 'interrupted', 'queued']

def children(pid): return psutil.Process(pid).children()

def alive(processes): return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

def test_ctrl_c_ends_processes_too(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2, 3, 4]), params=dict(seconds=100.))
    process = command('sweep', path, '--executor', 'processes')
    wait_until(lambda: len(count(tmp_path/'out', 'begun')) == 2)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and sorted(results(tmp_path/'out').state) == ['interrupted']*2 + ['queued']*2, err
    wait_until(lambda: not alive(workers), 30)

def test_a_dead_process_is_replaced(toy, tmp_path):
    "The run that it had is done once more, the others are left alone; and a worker does not outlive a sweep"
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2, 3, 4]), params=dict(seconds=3.))
    process = command('sweep', path, '--executor', 'processes')
    wait_until(lambda: len(count(tmp_path/'out', 'begun')) == 2)
    next(p for p in children(process.pid) if p.children()).kill()           # one that has a kernel
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0 and count(tmp_path/'out', 'ended') == [1]*4, err
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'other'), grid=dict(x=[1, 2, 3, 4]), params=dict(seconds=100.))
    process = command('sweep', path, '--executor', 'processes')
    wait_until(lambda: len(count(tmp_path/'other', 'begun')) == 2)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    wait_until(lambda: not alive(workers), 30)

def test_what_fails_is_told_and_the_others_go_on(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[12, 13, 14]), retries=1)
    code, out, err = said('sweep', path)
    assert code == 1 and 'AssertionError: bad luck' in err and '2 of 3 runs are done' in out
    again = write_sweep(tmp_path/'again.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[12]), retries=1)
    assert said('sweep', again)[0] == 0                                 # what this one asks for is done
    table = results(tmp_path/'out').set_index('x')
    assert table.state.to_dict() == {12: 'done', 13: 'failed', 14: 'done'} and table.error[13] == 'AssertionError: bad luck' and table.attempt[13] == 2
    partial = read(tmp_path/'out'/table.run[13]/'run.ipynb')
    assert any(o.output_type == 'error' for c in code_cells(partial) for o in c.outputs)

def test_a_run_may_take_its_time_only(toy, tmp_path):
    table = sweep(toy, [dict(seconds=60.), dict(seconds=0.)], tmp_path/'out', timeout=4)
    assert sorted(table.state) == ['done', 'failed'] and table.error.dropna().str.contains('Timeout').all()

@pytest.mark.parametrize('change, word', [
    (dict(grid=dict(xx=[1])), "did you mean 'x'"), (dict(grid=dict(x=['a'])), 'expected int'), (dict(params=dict(out='here')), 'folder'),
    (dict(repeat=3), 'repeat'),
    (dict(retries=-1), 'retries'), (dict(timeout='1h'), 'timeout'), (dict(out=5), 'expected a path'),
    (dict(notebook='nowhere.ipynb'), 'nowhere.ipynb'), (dict(preset='fast'), 'fast')])
def test_mistakes_are_told_before_a_kernel_starts(toy, tmp_path, change, word):
    path = write_sweep(tmp_path/'sweep.yaml', **dict(notebook=str(toy), out=str(tmp_path/'out')) | change)
    code, out, err = command_here('sweep', path)
    assert code == 2 and word in err and len(err.strip().splitlines()) == 1 and not (tmp_path/'out').exists()

ODD = 'r{x}', '}{', '%s * ? [a] $HOME', 'a\nb "c" \'d\' \\e', 'Жλ 中'     # names of files and folders, each of characters that mean something to somebody

@pytest.mark.parametrize('name', ODD)
def test_a_path_is_a_path(toy, tmp_path, name):
    "What was given is where it goes, and nothing else is touched"
    odd, others = tmp_path/name, tmp_path/'r1'
    for folder in odd, others: folder.mkdir()
    (others/'run.ipynb').write_text('mine')
    notebook = toy.rename(odd/f'{name}.ipynb')
    code, out, err = command_here('run', notebook, f'--out={odd/name}')
    assert code == 0 and read_json(odd/name/'metrics.json') == dict(y=1) and 'papermill' in read(odd/name/'run.ipynb').metadata, err
    assert sorted(tmp_path.iterdir()) == sorted([odd, others]) and (others/'run.ipynb').read_text() == 'mine'
    assert sorted(odd.iterdir()) == sorted([odd/name, notebook])

def test_a_path_is_a_path_in_a_sweep_too(toy, tmp_path):
    odd = tmp_path/'r{x}'
    odd.mkdir()
    path = write_sweep(odd/'{s}.yaml', notebook=str(toy.rename(odd/'{n}.ipynb')), out=str(odd/'{x}'), grid=dict(x=[2, 3]))
    code, out, err = said('sweep', path)
    assert code == 0 and row(results(odd/'{x}')) == {2: 4, 3: 9} and (odd/'{x}'/'report.html').exists(), out + err
    assert sorted(p.name for p in tmp_path.iterdir()) == ['r{x}']

def test_a_path_that_is_no_text(toy, tmp_path):
    code, out, err = command_here('run', toy, '--out', os.fsdecode(os.fsencode(tmp_path) + b'/\xff'))
    assert code == 2 and 'expected a path in UTF-8' in err and list(tmp_path.iterdir()) == [toy]

FOREIGN = [ # command, a file of somebody in its folder, and what is in it
    ('run', 'metrics.json', '{"y": 1}'), ('run', 'run.json', '{"miles": 26}'), ('run', 'run.json', '[26]'), ('run', 'run.json', 'a run'),
    ('run', 'run.json', '{"params": {}, "state": "done"}'), ('run', 'run.json', '{"params": [], "code": "", "state": "failed"}'),
    ('run', 'run.json', '{"params": {}, "code": "", "state": "finished"}'), ('run', 'run.json', '{"params": {}, "code": "", "state": "done"}'),
    ('run', 'sweep.json', '{"notebook": "toy.ipynb", "code": "", "parameters": []}'), ('run', 'sub/thesis.txt', 'years'), ('run', 'run.ipynb', '{}'),
    ('sweep', 'sweep.json', '{"chimneys": 3}'), ('sweep', 'sweep.json', '{"notebook": "a.ipynb", "code": [1, 2]}'),
    ('sweep', 'report.html', '<p>mine'), ('sweep', 'run.json', '{"params": {}, "state": "done"}'),
    ('demo', 'results.json', '{}'), ('demo', 'log.jsonl', '{"level": "info"}'), ('demo', 'settings.json', '{"editor": "vim"}'),
    ('demo', 'settings.json', '{"shape": "round", "joint_steps": 3}'), ('demo', 'model.safetensors', ''),
    ('demo', 'run.json', '{"params": {}, "state": "done"}')]

def contents(folder): return {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}

@pytest.mark.parametrize('word, name, text', FOREIGN)
def test_a_folder_of_another(toy, tmp_path, word, name, text):
    "It is refused in a sentence, and stays as it is"
    theirs = tmp_path/'theirs'/name
    theirs.parent.mkdir(parents=True)
    theirs.write_text(text)
    sweep_file = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'theirs'), grid=dict(x=[1, 2]))
    before, out = contents(tmp_path), ('--out', tmp_path/'theirs')
    code, _, err = command_here(*dict(run=('run', toy, *out), sweep=('sweep', sweep_file), demo=('demo', *out))[word])
    assert code == 2 and 'expected an empty folder' in err and len(err.strip().splitlines()) == 1, err
    assert contents(tmp_path) == before

SOOT = None, '{"chimneys": 3}', '{"notebook": "a.ipynb", "code": "b"}', '{"notebook": "a", "code": "b", "parameters": 3}', '[]', 'soot'

@pytest.mark.parametrize('text', SOOT)
def test_a_sweep_of_another(tmp_path, text):
    if text: (tmp_path/'sweep.json').write_text(text)
    for args in (), ('--csv',), ('--parquet',), ('--plot',):
        code, said, err = command_here('results', tmp_path, *args)
        assert code == 2 and not said and f'no sweep of ours in {tmp_path}' in err and len(err.splitlines()) == 1, err
    assert [p.name for p in tmp_path.iterdir()] == ['sweep.json']*bool(text)

def test_a_run_of_another_is_no_row(tmp_path):
    (tmp_path/'sweep.json').write_text(json.dumps(dict(notebook='toy.ipynb', code='', parameters=['x'])))
    for name, card in dict(ours=dict(params=dict(x=1), code='', state='queued'), theirs=dict(params=[1], state='done'), marathon=dict(miles=26)).items():
        (tmp_path/name).mkdir()
        (tmp_path/name/'run.json').write_text(json.dumps(card))
    assert list(results(tmp_path).run) == ['ours'] and command_here('results', tmp_path)[0] == 0

def test_a_sweep_without_a_run(tmp_path):
    (tmp_path/'sweep.json').write_text(json.dumps(dict(notebook='toy.ipynb', code='', parameters=['x'])))
    assert command_here('results', tmp_path)[:2] == (0, 'no run yet\n')

HEAD = b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}'
NO_NOTEBOOKS = {'no JSON': b'x = 1', 'no UTF-8': b'{"cells": "\xff"}', 'empty': b'', 'a list': b'[]', 'no cells': HEAD + b'}',
                'cells of text': HEAD + b', "cells": "x"}',
                'an old format': b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', 'no metadata': b'{"nbformat": 4, "cells": []}',
                'cells of numbers': HEAD + b', "cells": [1]}', 'no parameters': HEAD + b', "cells": []}'}

@pytest.mark.parametrize('what', NO_NOTEBOOKS)
def test_a_notebook_that_is_none(tmp_path, what):
    path = tmp_path/'mine.ipynb'
    path.write_bytes(NO_NOTEBOOKS[what])
    words = 'has no parameter `out`' if what == 'no parameters' else 'expected a Jupyter notebook of format 4'
    for args in ('run', path, '--out', tmp_path/'out'), ('sweep', write_sweep(tmp_path/'s.yaml', notebook=str(path), out=str(tmp_path/'out'))):
        code, _, err = command_here(*args)
        assert code == 2 and str(path) in err and words in err and len(err.strip().splitlines()) == 1 and not (tmp_path/'out').exists(), err

def test_a_folder_of_another_through_the_command(toy, tmp_path):
    "Also where a run of a sweep would go, a file in place of a folder, and in processes of their own; hidden files do not matter"
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2]))
    theirs = plan_runs(toy, grid(x=[1, 2]), tmp_path/'out')[1].folder
    theirs.mkdir(parents=True)
    (theirs/'notes.txt').write_text('mine')
    (tmp_path/'out'/'sweep.json').write_text(json.dumps(dict(notebook='toy.ipynb', code='', parameters=[])))
    before = contents(tmp_path)
    code, _, err = said('sweep', path)
    assert code == 2 and 'expected an empty folder' in err and contents(tmp_path) == before, err
    for args in ('run', toy, '--out', theirs), ('run', toy, '--out', theirs/'notes.txt'), ('demo', '--out', theirs):
        code, _, err = command_here(*args)
        assert code == 2 and 'error' in err and len(err.strip().splitlines()) == 1 and contents(tmp_path) == before, err
    for name in '.DS_Store', '.git/config':
        (tmp_path/'hidden'/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/'hidden'/name).touch()
    assert command_here('run', toy, '--out', tmp_path/'hidden')[0] == 0

def test_a_start_that_failed_leaves_nothing(toy, tmp_path):
    "Other parameters, or a notebook that was mended, may begin where a run failed before it did anything; not where work was done"
    text, out = toy.read_text(), tmp_path/'out'
    toy.write_text(text.replace('import json', 'import jason'))
    assert command_here('run', toy, '--out', out, '-p', 'x', 2)[0] == 1
    assert command_here('run', toy, '--out', out, '-p', 'x', 5)[0] == 1         # other parameters
    toy.write_text(text)
    code, _, err = said('run', toy, '--out', out, '-p', 'x', 4)         # another notebook
    assert code == 0 and read_json(out/'metrics.json') == dict(y=16), err
    code, _, err = command_here('run', toy, '--out', out, '-p', 'x', 5)
    assert code == 2 and 'was begun with x=4, not 5' in err and read_json(out/'metrics.json') == dict(y=16)

def test_a_sweep_that_failed_leaves_nothing(toy, tmp_path):
    text, path = toy.read_text(), write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[2, 3]))
    toy.write_text(text.replace('import json', 'import jason'))
    assert command_here('sweep', path)[0] == 1 and set(results(tmp_path/'out').state) == {'failed'}
    toy.write_text(text)
    code, _, err = command_here('sweep', path)
    assert code == 0 and row(results(tmp_path/'out')) == {2: 4, 3: 9}, err

TWICE = [   # arguments, files that they read, and the name that stands twice
    (('run', 'TOY', '-p', 'x', '1', '-p', 'x', '2'), {}, 'x'), (('demo', '-p', 'q', '4', '-p', 'images', '3', '-p', 'q', '5'), {}, 'q'),
    (('run', 'TOY', '-f', 'HERE/a.yaml'), {'a.yaml': 'x: 1\nseconds: .5\nx: 1'}, 'x'),
    (('sweep', 'HERE/s.yaml'), {'s.yaml': 'notebook: TOY\nout: HERE/a\nout: HERE/b'}, 'out'),
    (('sweep', 'HERE/s.yaml'), {'s.yaml': 'notebook: TOY\nout: HERE/a\ngrid: {x: [1], x: [2]}'}, 'x'),
    (('sweep', 'HERE/s.yaml'), {'s.yaml': 'notebook: TOY\nout: HERE/a\npreset: HERE/a.yaml', 'a.yaml': 'x: 1\nx: 2'}, 'x'),
    (('check', 'HERE/apis.yaml'), {'apis.yaml': 'apis: [{url: http://localhost, model: a, model: b}]'}, 'model')]

@pytest.mark.parametrize('args, files, name', TWICE)
def test_what_stands_twice_is_refused(toy, tmp_path, args, files, name):
    fill_in = lambda text: text.replace('TOY', str(toy)).replace('HERE', str(tmp_path))
    for file, text in files.items(): (tmp_path/file).write_text(fill_in(text))
    code, _, err = command_here(*map(fill_in, args))
    assert code == 2 and 'twice' in err and name in err and len(err.strip().splitlines()) == 1, err

def test_words_have_the_types_of_yaml(toy, tmp_path):
    "Where the default of a parameter is None, or computed"
    toy.write_text(toy.read_text().replace('x = 1', 'horizon = None\\nthird = 1/3\\nx = 1').replace('y=x*x', 'y=[horizon, third]'))
    for i, (word, value) in enumerate({'5': 5, 'None': None, '1e-3': .001, '[1, a]': [1, 'a'], 'five': 'five', 'true': True}.items()):
        code, _, err = command_here('run', toy, '--out', tmp_path/str(i), '-p', 'horizon', word, '-p', 'third', '.5', '-p', 'x', '2e1', '-p', 'seconds', '0')
        assert code == 0 and read_json(tmp_path/str(i)/'metrics.json') == dict(y=[value, .5]), err
        assert repr(read_json(tmp_path/str(i)/'run.json')['params']['x']) == '20'

@pytest.mark.parametrize('name, word, why', [
    ('seconds', 'nan', 'seconds: expected numbers'), ('seconds', 'NaN', 'expected numbers'), ('x', 'nan', "expected int, got 'nan'"),
    ('x', '5.5', 'expected int'), ('x', '1e400', 'expected int'), ('horizon', '.nan', 'expected a finite number'),
    ('horizon', '[1, .inf]', 'expected a finite number'), ('horizon', '012', 'zeros in front'), ('horizon', '{a: -08}', 'zeros in front'),
    ('third', '1:30', 'colons'), ('third', '1:30.5', 'colons'), ('horizon', '[1', "expected ',' or ']'"),
    ('third', '!x 1', 'could not determine a constructor'), ('horizon', 'a: b: c', 'mapping values are not allowed')])
def test_words_that_are_refused(toy, tmp_path, name, word, why):
    "With yaml's reason, before anything starts"
    toy.write_text(toy.read_text().replace('x = 1', 'horizon = None\\nthird = 1/3\\nx = 1'))
    code, _, err = command_here('run', toy, '--out', tmp_path/'out', '-p', name, word)
    assert code == 2 and why in err and f'{name}: ' in err and len(err.splitlines()) == 1 and not (tmp_path/'out').exists(), err

def test_two_sweeps_of_one_folder(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook=str(toy), out=str(tmp_path/'out'), grid=dict(x=[1, 2]), params=dict(seconds=6.))
    first = command('sweep', path)
    wait_until(lambda: count(tmp_path/'out', 'begun'))
    first.send_signal(signal.SIGSTOP) # it has not ended before the second one asks
    code, out, err = command_here('sweep', path)
    assert code == 2 and 'another sweep is running' in err
    first.send_signal(signal.SIGCONT)
    assert first.wait(120) == 0 and count(tmp_path/'out', 'ended') == [1, 1]

def test_dry_run_and_other_code(toy, tmp_path):
    path = write_sweep(tmp_path/'sweep.yaml', notebook='bidf_mkd', out=str(tmp_path/'out'), preset='quick', grid=dict(seed=[0, 1]))
    code, out, err = command_here('sweep', path, '--dry-run')
    assert code == 0 and '12,000 images' in out and out.count('queued') == 2 and not (tmp_path/'out').exists()
    sweep(toy, [{}], tmp_path/'toy')
    toy.write_text(toy.read_text().replace('x*x', 'x+x'))
    with pytest.raises(ValueError, match='another folder'): sweep(toy, [{}], tmp_path/'toy')

def test_each_seed_has_its_own_zoo(tmp_path):
    table = sweep(find_file('estimator', '.ipynb'), grid(seed=[3, 4], q=1, images=2, api_steps=2, zoo=str(tmp_path/'zoo {seed}')), tmp_path/'out')
    assert list(table.state) == ['done']*2, list(table.error)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob('zoo*/*.safetensors')) == ['zoo 3/000.safetensors', 'zoo 4/000.safetensors']

def test_an_unknown_classifier_is_told_before_a_query(tmp_path):
    code, out, err = said('run', 'bidf_mkd', '-f', 'quick', '-p', 'classifiers', 'prototype,whitened', '--out', tmp_path/'run')
    assert code == 1 and "expected some of finetune_blank, finetune, prototype, transductive, got 'whitened'" in err, err
    assert not list(tmp_path.glob('run/zoo/*')) and not (tmp_path/'run'/'run.checkpoint').exists()

def test_presets_fit_their_notebook():
    notebook = find_file('bidf_mkd', '.ipynb')
    for path in (NBS/'experiments').glob('*.yaml'): complete_params(notebook, read_preset(path))
    known = defaults(notebook)
    assert {f.name for f in fields(Config)} <= set(known)
    for name, preset in dict(paper_ss='paper', paper_sh='paper', paper_mh='paper', paper_small='paper_small').items():
        said = complete_params(notebook, read_preset(name))
        same = [f.name for f in fields(Config) if f.name not in ('budget', 'budget_per_api', 'visits', 'seed', 'flip')]
        assert {k: said[k] for k in same} == {k: getattr(PRESETS[preset], k) for k in same}
        assert said['flip'] == (said['dataset'] != 'glyphs'), 'mirrored photographs are of the same class, mirrored characters are not'

def test_the_sweep_for_photographs_is_of_their_plan():
    notebook, params, *_ = read_sweep(ROOT/'benchmarks'/'photos.yaml')
    plan, shares = PLANS['photos'], dict(procedural=2, budget=2, joint_steps=3, prototype_steps=3)
    for o in params:
        said = complete_params(notebook, o)
        for f in fields(Config):
            if f.name not in ('seed', 'answers', 'replay_steps', 'budget_per_api'):
                value = getattr(plan.cfg, f.name)
                assert said[f.name] == (value//shares[f.name] if f.name in shares else value), f.name
    assert any((o['arch'], o['answers'], o['replay_steps']) == (plan.arch, plan.cfg.answers, plan.cfg.replay_steps) for o in params)

@pytest.mark.parametrize('name', ['bidf_mkd', 'recovery', 'estimator', 'ablation', 'report'])
def test_every_parameter_is_explained(name):
    told = papermill.inspect_notebook(str(find_file(name, '.ipynb')))
    assert 'out' in told and all(p['help'].strip() for p in told.values()), {k for k, p in told.items() if not p['help'].strip()}

def unanswered(journal):
    "How many images were sent to an API and not answered, by its journal"
    api = Api(lambda x: x, 'abcde', (3, 32, 32))
    Journal(api, journal)
    return api.n_failed

@pytest.mark.slow
def test_a_killed_run_goes_on_and_tells_no_secret(tmp_path):
    token = 'sesame-4711'
    args = 'run', 'bidf_mkd', '-f', 'quick', *'-p steps 6 -p episodes 2 -p api_steps 20 --out'.split()
    code, out, err = said(*args, tmp_path/'whole', BIDF_MKD_TOKEN=token)
    assert code == 0, err
    process = command(*args, tmp_path/'cut', BIDF_MKD_TOKEN=token)
    wait_until(lambda: read_json(tmp_path/'cut'/'progress.json').get('phase') in ('pre_distillation', 'support', 'query'), 300)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path/'cut'/'run.checkpoint').exists() and not (tmp_path/'cut'/'metrics.json').exists()
    cut_off = sum(map(unanswered, (tmp_path/'cut').glob('run.checkpoint-*.answers')))  # by the kill: it may be on the bill
    code, out, err = said(*args, tmp_path/'cut', BIDF_MKD_TOKEN=token)
    assert code == 0, err
    whole, cut = (read_json(tmp_path/o/'metrics.json') for o in ('whole', 'cut'))
    assert cut | dict(seconds=0) == whole | dict(seconds=0, n_failed=whole['n_failed'] + cut_off)
    assert (tmp_path/'whole'/'run.ipynb').stat().st_size < 1e6
    assert not [p for p in tmp_path.rglob('*') if p.is_file() and token.encode() in p.read_bytes()] and token not in out + err
