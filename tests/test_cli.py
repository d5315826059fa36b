"The command as a user runs it: its files, its errors, killed and interrupted in the middle."
import json, os, shutil, signal, sys, time
from itertools import product

import pytest
import torch
from PIL import Image

from bidf_mkd.demo import own_folder
from bidf_mkd.evaluation import QUERIES, protocols_for
from bidf_mkd.lab import run_server
from bidf_mkd.models import load_tensors
from project import SMALL, command, command_here, finish

def steps(out, kind):
    "How many steps of a kind are in the log"
    log = out/'log.jsonl'
    return sum(f'"kind": "{kind}"' in line for line in log.read_text().splitlines()) if log.exists() else 0

def wait_for(process, out, kind, n):
    "Wait until the demo has done `n` steps of a kind"
    until = time.monotonic() + 300
    while steps(out, kind) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(.02)

def test_results(whole):
    out, said = whole, (whole/'said.txt').read_text()
    r = json.loads((out/'results.json').read_text(encoding='utf-8'))
    assert set(r) >= {'rows', 'n_queries', 'queries_by_api', 'budget', 'seconds', 'seed', 'dataset', 'versions'}
    assert r['n_queries'] == sum(r['queries_by_api'].values()) <= r['budget'] == 4_000 and r['dataset'] == 'glyphs'
    cells = [tuple(row[k] for k in ('method', 'shot', 'queries', 'classifier', 'transductive')) for row in r['rows']]
    assert sorted(cells) == sorted((m, s, q, *p) for m, s, q in product(('random init', 'bidf_mkd'), (1, 5), QUERIES) for p in protocols_for(q))
    assert all(0 <= row['mean'] <= 100 and row['split'] == 'meta_test' and row['way'] == 5 for row in r['rows'])
    assert all(row['n'] == dict(balanced=4, unbalanced=2)[row['queries']] for row in r['rows'])
    assert f"{r['n_queries']:,} of 4,000 queries" in said and 'random init' in said and 'unbalanced' in said

def test_files(whole):
    out = whole
    report = (out/'report.html').read_text(encoding='utf-8')
    assert 'Recovered images' in report and 'src="http' not in report and '<link' not in report
    sheets = list((out/'recovered').glob('*.png'))
    assert len(sheets) == 2 and all(Image.open(s).size > (100, 100) for s in sheets)
    weights, card = load_tensors(out/'model.safetensors', 'model')
    assert card['dataset'] == 'glyphs' and card['n_queries'] <= 4_000 and card['arch'] == 'conv4-16' and all(torch.isfinite(v).all() for v in weights.values())

@pytest.mark.parametrize('kind, n', [('procedural_queries', 1), ('support', 4), ('query', 3), ('final_replay', 26)])
def test_killed(whole, tmp_path, kind, n):
    "SIGKILL in the middle of a recovery or of learning; the same command then ends with the same weights and count"
    out = tmp_path/'demo'
    process = command(*SMALL, '--out', str(out))
    wait_for(process, out, kind, n)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out/'results.json').exists()
    code, _, err = finish(command(*SMALL, '--out', str(out)))
    assert code == 0, err
    weights, expected = (load_tensors(o/'model.safetensors', 'model')[0] for o in (out, whole))
    assert all(torch.equal(v, expected[k]) for k, v in weights.items())
    ours, theirs = (json.loads((o/'results.json').read_text()) for o in (out, whole))
    assert all(ours[k] == theirs[k] for k in ('rows', 'n_queries', 'queries_by_api'))

def test_interrupted(tmp_path):
    "Ctrl-C ends it with a word on how to go on"
    out = tmp_path/'demo'
    process = command(*SMALL, '--out', str(out))
    wait_for(process, out, 'support', 2)
    os.kill(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and f'go on with: bidf-mkd {" ".join(SMALL)} --out {out}' in err and 'Traceback' not in err

def test_one_at_a_time(tmp_path):
    "Two demos do not work in one folder"
    out = tmp_path/'demo'
    first = command(*SMALL, '--out', str(out))
    wait_for(first, out, 'procedural_queries', 1)
    code, _, err = finish(command(*SMALL, '--out', str(out)))
    first.kill()
    first.communicate()
    assert code == 2 and 'another demo is running' in err and len(err.strip().splitlines()) == 1, err

@pytest.mark.parametrize('args, word', [
    (['demo', '--dataset', '/nowhere'], "no data set '/nowhere'"), (['demo', '--budget', '5'], 'does not pay for one visit'),
    (['demo', '--budget', 'x'], 'invalid int value'), (['demo', '--seed', '-1'], 'expected 0 or more'),
    (['demo', '--apis', '0'], 'expected at least 1'), (['demo', '--arch', 'conv5'], '--arch: expected conv4, resnet10, resnet18 or conv4-WIDTH'),
    (['demo', '--episodes', '1'], 'expected at least 2'), (['demo', '-p', 'cats', '1'], 'no setting'), (['dance'], 'invalid choice'),
    (['demo', '--out', '/proc/nothing'], '/proc/nothing'), (['lab', '--colour'], 'unrecognized arguments: --colour')])
def test_errors_are_one_line(args, word):
    code, _, err = command_here(*args)
    assert code == 2 and word in err and len(err.strip().splitlines()) == 1, err

def write_images(data, few=()):
    "A data set of noise in class folders; classes in `few` have one image"
    for split, classes in dict(meta_train='abcde', meta_val='vwxyz', meta_test='ghijk').items():
        for c in classes:
            (data/split/c).mkdir(parents=True)
            for i in range(1 if c in few else 21): Image.effect_noise((20, 20), 50).save(data/split/c/f'{i}.png')
    return data

def test_a_start_that_failed_leaves_nothing(tmp_path):
    "Whatever was wrong is told before the folder is claimed; with the mistake corrected, the same folder is used"
    data, few, out = write_images(tmp_path/'data'), write_images(tmp_path/'few', 'a'), tmp_path/'out'
    small = *SMALL, '--out', out
    for path, size, change, word in ((data, 15, [], 'at least 16, got 15'),
                                     (data, 18, ['-p', 'directions', 'blocks4'], '4 blocks do not divide'),
                                     (few, 16, [], 'class a of few')):
        code, _, err = command_here(*small, '--dataset', path, '--size', size, *change)
        assert code == 2 and word in err and len([o for o in err.strip().splitlines() if 'error' in o]) == 1, err
        assert path == few or not out.exists()
    code, _, err = finish(command(*small, '--dataset', data, '--size', 16))
    assert code == 0 and (out/'results.json').exists(), err
    code, _, err = finish(command(*small, '--dataset', data, '--size', 20))
    assert code == 2 and 'was begun with shape=[3, 16, 16], not [3, 20, 20]' in err, err

@pytest.mark.parametrize('broken, word', [('x.png', 'x.png is not a readable image'), (None, 'class g has 2')])
def test_meta_test_data_is_looked_at_first(tmp_path, broken, word):
    "Test images that cannot be used are told before an API is trained or asked"
    data, out = tmp_path/'data', tmp_path/'out'
    for split, classes in dict(meta_train='abcde', meta_val='vwxyz', meta_test='ghijk').items():
        for c in classes:
            (data/split/c).mkdir(parents=True)
            for i in range(2): Image.new('RGB', (32, 32)).save(data/split/c/f'{i}.png')
    if broken: (data/'meta_test'/'k'/broken).write_bytes(b'no image')
    code, _, err = command_here('demo', '--dataset', data, '--apis', 1, '--out', out)
    assert code == 2 and word in err and len(err.strip().splitlines()) == 1, err
    assert not (out/'zoo').exists() and not (out/'log.jsonl').exists()

def test_other_settings_are_refused(whole):
    "Another seed or number of APIs in the folder of a demo: told before anything is trained"
    out = whole
    for change, word in ((['--seed', '1'], 'seed=0, not 1'), (['--apis', '3'], 'apis=2, not 3'), (['--budget', '5000'], 'budget=4000, not 5000')):
        code, _, err = command_here(*SMALL, '--out', out, *change)
        assert code == 2 and word in err and len(list((out/'zoo').glob('*.safetensors'))) == 2, err

def test_a_folder_that_does_not_say_its_architecture_goes_on(whole, tmp_path):
    "It was begun by an earlier version, with a conv4"
    out = shutil.copytree(whole, tmp_path/'earlier')
    settings = {k: v for k, v in json.loads((out/'settings.json').read_text()).items() if k != 'arch'}
    (out/'settings.json').write_text(json.dumps(settings))
    with own_folder(out, 'demo', arch='conv4', **settings): pass
    with pytest.raises(ValueError, match="begun with arch='conv4', not 'conv4-16'"):
        with own_folder(out, 'demo', arch='conv4-16', **settings): pass

def test_a_small_budget_is_shared(whole):
    out = whole
    r = json.loads((out/'results.json').read_text(encoding='utf-8'))
    spent = r['queries_by_api'].values()
    assert max(spent) - min(spent) < 1000 and r['notes'], r
    assert all(n in (out/'report.html').read_text(encoding='utf-8') for n in r['notes'])

@pytest.fixture
def sweep_of_words(tmp_path):
    "A folder that looks like a sweep's, with runs of words from all over the world"
    (tmp_path/'sweep.json').write_text(json.dumps(dict(notebook='toy.ipynb', code='', parameters=['word'])))
    for i, word in enumerate(('85.0 ± 0.7', 'Жλ', '中', '🐈')):
        (tmp_path/str(i)).mkdir()
        (tmp_path/str(i)/'run.json').write_text(json.dumps(dict(params=dict(word=word), code='', state='done', duration=1.)))
        (tmp_path/str(i)/'metrics.json').write_text('{"y": 1}')
    return tmp_path

@pytest.mark.parametrize('encoding', ['ascii', 'cp437', 'latin-1', 'utf-8'])
def test_a_terminal_that_cannot_show_a_character(sweep_of_words, encoding):
    process = command('results', sweep_of_words, PYTHONIOENCODING=encoding)
    out, err = (o.read() for o in (process.stdout.buffer, process.stderr.buffer))
    assert process.wait() == 0 and out.decode(encoding).count('done') == 4 and not err, err
    assert ('\\xb1' if encoding == 'ascii' else '±') in out.decode(encoding)

def test_nobody_reads_what_is_printed(sweep_of_words):
    "What can be done without a reader is done, and says so"
    for args, code in ((['results', sweep_of_words, '--parquet'], 0), (['results', sweep_of_words], 0), (['demo', '--dataset', '/nowhere'], 2)):
        process = command(*args)
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait() == code and 'Traceback' not in err and 'ignored' not in err, err
    assert (sweep_of_words/'results.parquet').exists()

@pytest.mark.parametrize('missing', [['SIGHUP'], ['SIGHUP', 'SIGTERM'], ['SIGKILL', 'SIGHUP', 'SIGQUIT', 'SIGUSR1']])
def test_a_system_with_few_signals(monkeypatch, missing):
    "Windows has no SIGHUP, for example"
    for name in missing: monkeypatch.delattr(signal, name)
    before = signal.getsignal(signal.SIGINT)
    assert run_server([sys.executable, '-c', 'exit(7)']) == 7 and signal.getsignal(signal.SIGINT) == before

def test_debug_shows_where():
    code, _, err = finish(command('demo', '--dataset', '/nowhere', '--debug'))
    assert code != 0 and 'Traceback' in err
