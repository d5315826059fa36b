"A classifier of the user's own classes, from the command line and as scikit-learn uses it."
import csv, json, os, sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from bidf_mkd import fewshot
from bidf_mkd.data import draw
from bidf_mkd.fewshot import HEADS, FewShotClassifier, as_images, classify_page, name_files, query_files, support_files
from bidf_mkd.models import calibrate, conv4, load_tensors, predict_answers, resnet10, save_tensors, seeded
from project import command_here

CLASSES = '| bar', '■', '•'

@pytest.fixture
def folders(tmp_path):
    "Five examples of each class in folders, and new images, with pixels of many kinds"
    for c in CLASSES:
        (tmp_path/'examples'/c).mkdir(parents=True)
        (tmp_path/'new').mkdir(exist_ok=True)
        for i, x in enumerate(draw(c[0], 9)):
            image = Image.fromarray(x.permute(1, 2, 0).numpy())
            image.save(tmp_path/'examples'/c/f'{i}.png' if i < 5 else tmp_path/'new'/f'{c}-{i}.png')
    kinds = tmp_path/'kinds'
    kinds.mkdir()
    image.resize((90, 50)).save(kinds/'wide.jpg')
    image.convert('RGBA').save(kinds/'transparent.png')
    Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16)*257).save(kinds/'sixteen bits.png')
    image.getexif()[274] = 6
    image.save(kinds/'turned.jpg', exif=image.getexif())
    return tmp_path

def classify(model, folders, *args): return command_here('classify', model, '--support', folders/'examples', *args)

@pytest.mark.parametrize('head', HEADS)
def test_a_demo_names_images_from_folders(whole, folders, head):
    out, page = folders/'named.csv', folders/'page.html'
    code, said, err = classify(whole, folders, '--head', head, '--csv', out, '--report', page, folders/'new', folders/'kinds')
    rows = list(csv.DictReader(open(out, encoding='utf-8')))
    assert code == 0 and not err and len(rows) == len(said.splitlines()) == 16
    assert list(rows[0]) == ['file', 'class', 'probability', *sorted(CLASSES)]
    assert all(float(r['probability']) == max(float(r[c]) for c in CLASSES) == float(r[r['class']]) for r in rows)
    right = [r['class'] == Path(r['file']).name.split('-')[0] for r in rows if Path(r['file']).parent.name == 'new']
    assert sum(right) >= 8      # of 12; guessing names 4
    assert 'src="http' not in page.read_text(encoding='utf-8')

@pytest.mark.parametrize('option', ['--csv', '--report'])
def test_a_file_that_cannot_be_written_is_named(whole, folders, option):
    for path, why in {'/dev/full': 'No space left', folders/'no'/'file': 'No such file', folders: 'Is a directory'}.items():
        code, _, err = classify(whole, folders, option, path, folders/'new'/'■-5.png')
        assert code == 2 and str(path) in err and why in err and len(err.splitlines()) == 1, err

def test_json(whole, folders):
    code, said, _ = classify(whole, folders, '--json', folders/'new'/'■-5.png')
    assert code == 0 and [r['class'] in CLASSES and set(r['probabilities']) == set(CLASSES) for r in json.loads(said)] == [True]

def test_a_saved_classifier_needs_no_examples(whole, folders):
    FewShotClassifier.load(whole).fit_folder(folders/'examples').save(folders/'mine.safetensors')
    new = folders/'new'
    assert command_here('classify', folders/'mine.safetensors', new)[1] == classify(whole, folders, new)[1]
    assert command_here('classify', whole, new)[0] == 2

@pytest.mark.parametrize('support', [True, False])
def test_a_classifier_is_fitted_once(whole, folders, monkeypatch, support):
    "With another head, and other examples, than those that were saved"
    FewShotClassifier.load(whole).fit_folder(folders/'examples').save(folders/'mine.safetensors')
    fitted, fit = [], fewshot.fit_classifier
    monkeypatch.setattr(fewshot, 'fit_classifier', lambda *args: fitted.append(args[3]) or fit(*args))
    more = ['--support', folders/'examples'] if support else []
    code, _, err = command_here('classify', folders/'mine.safetensors', folders/'new', '--head', 'finetune', *more)
    assert code == 0 and fitted == ['finetune'], err

def spoil(folders, whole, how):
    "The arguments of a command that cannot work"
    examples, new, model = folders/'examples', folders/'new', whole
    if how == 'a class without images': (examples/'none').mkdir()
    if how == 'one class': [p.rename(folders/p.name) for p in list(examples.iterdir())[1:]]
    if how == 'a corrupt example': (examples/'■'/'9.png').write_bytes((examples/'■'/'1.png').read_bytes()[:60])
    if how == 'a corrupt image': (new/'9.jpg').write_bytes(b'no picture')
    if how == 'no image': (new := folders/'empty').mkdir()
    if how == 'no such image': new = folders/'nowhere.png'
    if how == 'examples among the images': new = folders
    if how == 'no model': model = folders
    if how in ('another version', 'another shape', 'no tensors'):
        model = folders/'model.safetensors'
        tensors, card = load_tensors(whole/'model.safetensors', 'model')
        if how == 'another version': del card['shape']
        if how == 'another shape': card['shape'] = [3, 64, 64]
        save_tensors(model, 'model', tensors, card)
        if how == 'no tensors': model.write_bytes(b'x'*99)
    return model, folders, '--csv', folders/'out.csv', new

WRONG = {'a class without images': 'none', 'one class': 'two sub-folders', 'a corrupt example': '9.png', 'a corrupt image': '9.jpg', 'no image': 'empty',
         'no such image': 'nowhere.png', 'examples among the images': 'support folder', 'no model': 'no model there', 'another version': 'another version',
         'another shape': 'another version', 'no tensors': 'damaged'}

@pytest.mark.parametrize('how', WRONG)
def test_bad_input_is_one_sentence(whole, folders, how):
    code, said, err = classify(*spoil(folders, whole, how))
    assert code == 2 and not said and len(err.splitlines()) == 1 and WRONG[how] in err, err
    assert not (folders/'out.csv').exists()

# the model as a file for other programs

def features(file, x):
    "What an ONNX file answers, by a program that knows nothing of this project"
    run = onnxruntime.InferenceSession(file)
    assert [i.name for i in run.get_inputs()] == ['images'] and [o.name for o in run.get_outputs()] == ['features']
    return run.run(None, {'images': x.numpy()})[0]

@torch.no_grad()
def test_export(whole, folders):
    "The backbone of a demo, alone and with the statistics of examples, for any number of images"
    out = folders/'model.onnx'
    code, said, err = command_here('export', whole, '--onnx', out)
    own = FewShotClassifier.load(whole)
    x = torch.rand(7, *own.model.shape)
    assert code == 0 and not err and 'differs from PyTorch by' in said and 'procedural' in said
    for o in x, x[:1]: assert np.abs(features(out, o) - own.model.backbone(o).numpy()).max() < 1e-4
    code, said, err = command_here('export', whole, '--onnx', out, '--support', folders/'examples')
    own.fit_folder(folders/'examples')
    assert code == 0 and not err and 'support images' in said
    assert np.abs(features(out, x) - calibrate(own.model, own.support_).backbone(x).numpy()).max() < 1e-4
    assert [p.name for p in folders.glob('model.onnx*')] == ['model.onnx']

@torch.no_grad()
@pytest.mark.parametrize('build, ways', [(resnet10, ()), (conv4, (5, 3))], ids=['resnet', 'with answers'])
def test_saved_and_exported(build, ways, tmp_path):
    model = predict_answers(seeded(0, build, 5, 1, 32), ways)
    FewShotClassifier(model).save(tmp_path/'m.safetensors')
    assert command_here('export', tmp_path/'m.safetensors', '--onnx', tmp_path/'m.onnx')[0] == 0
    again, x = FewShotClassifier.load(tmp_path/'m.safetensors').model, torch.rand(3, 1, 32, 32)
    assert torch.equal(again.train().backbone(x), model.train().backbone(x))
    onnx = features(tmp_path/'m.onnx', x)
    assert onnx.shape == model.backbone(x).shape
    assert np.abs(onnx - FewShotClassifier.load(tmp_path/'m.safetensors').model.backbone(x).numpy()).max() < 1e-4

@pytest.mark.parametrize('module', ['onnxscript', 'onnxruntime'])
def test_export_names_what_is_not_installed(whole, tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    code, said, err = command_here('export', whole, '--onnx', tmp_path/'m.onnx')
    assert code == 2 and not said and len(err.splitlines()) == 1 and "pip install 'bidf_mkd[onnx]'" in err and not list(tmp_path.iterdir()), err

@pytest.mark.parametrize('change, words', [(dict(model='nowhere'), 'no model there'), (dict(onnx='nowhere/m.onnx'), 'nowhere'), (dict(onnx='.'), 'a file'),
                                           (dict(support='nowhere'), 'nowhere')])
def test_export_refuses_in_one_sentence(whole, folders, change, words):
    place = dict(model=whole, onnx=folders/'m.onnx', support=folders/'examples') | {k: folders/v for k, v in change.items()}
    code, said, err = command_here('export', place['model'], '--onnx', place['onnx'], '--support', place['support'])
    assert code == 2 and not said and len(err.splitlines()) == 1 and words in err and not list(folders.glob('*.onnx*')), err

# as a classifier of scikit-learn. Its checks that make data of their own make tables, and this classifier takes images; the others are run, and what the
# checks of tables look for is looked for with images

CONTRACT = ('check_estimator_cloneable', 'check_no_attributes_set_in_init', 'check_mixin_order', 'check_estimator_repr', 'check_estimator_tags_renamed',
            'check_valid_tag_types', 'check_get_params_invariance', 'check_set_params')

@pytest.mark.parametrize('check', CONTRACT)
def test_contract(check): getattr(estimator_checks, check)('FewShotClassifier', FewShotClassifier(seeded(0, conv4, 5)))

def images(n=6):
    "Images and names of three classes"
    return torch.cat([draw(c[0], n) for c in CLASSES]).numpy(), np.repeat(CLASSES, n)

@pytest.mark.parametrize('head', HEADS)
def test_what_scikit_learn_expects(head):
    x, y = images()
    classifier = FewShotClassifier(seeded(0, conv4, 5), head)
    before = {k: v.clone() for k, v in classifier.model.state_dict().items()}, x.copy(), classifier.get_params(deep=False)
    assert classifier.fit(x, y) is classifier
    assert all(torch.equal(v, before[0][k]) for k, v in classifier.model.state_dict().items()) and np.array_equal(x, before[1])  # nothing given is changed
    assert classifier.get_params(deep=False) == before[2]
    p = classifier.predict_proba(x)
    assert p.shape == (18, 3) and np.allclose(p.sum(1), 1, atol=1e-5) and list(classifier.classes_) == sorted(CLASSES)
    assert np.array_equal(classifier.predict(x), classifier.classes_[p.argmax(1)]) and np.array_equal(p, classifier.predict_proba(x))
    assert np.array_equal(classifier.fit(x, y).predict_proba(x), p)                             # fitted again: the same
    order = np.random.default_rng(0).permutation(18)
    assert np.allclose(clone(classifier).fit(x[order], y[order]).predict_proba(x), p, atol=1e-3)  # the order of examples does not matter
    numbers = clone(classifier).fit(list(x), [CLASSES.index(c) for c in y])                      # other labels, a list
    assert set(numbers.predict(x)) <= {0, 1, 2} and numbers.score(x, [CLASSES.index(c) for c in y]) == classifier.score(x, y)
    assert len(cross_val_score(make_pipeline(clone(classifier)), x, y, cv=2)) == 2

def test_not_fitted():
    with pytest.raises(Exception, match='not fitted yet'): FewShotClassifier(seeded(0, conv4, 5)).predict(images()[0])

def test_folders_as_people_have_them(folders):
    "Links are followed, a link that leads back ends nothing, and what is skipped is told by its kind"
    linked, first = folders/'linked', folders/'examples'/CLASSES[0]
    linked.mkdir()
    for c in CLASSES: (linked/c).symlink_to(folders/'examples'/c)
    (first/'again').symlink_to(first)
    (first/'notes.txt').write_text('x')
    (first/'photo.heic').write_bytes(b'x')
    with pytest.warns(UserWarning, match=r'left out, as no images of a known kind: 1 \.heic, 1 \.txt|1 \.txt, 1 \.heic'): found = support_files(linked)
    assert {c: len(v) for c, v in found.items()} == dict.fromkeys(CLASSES, 5)

def test_names_and_links_that_are_wrong(folders):
    for to, why in (folders/'nowhere', 'No such file or directory, it is a link to'), (None, 'Too many levels of symbolic links'):
        for at in folders/'examples'/'gone', folders/'examples'/CLASSES[0]/'gone', folders/'examples'/CLASSES[0]/'gone.png':
            at.symlink_to(to or at.name)                              # or to itself
            with pytest.raises(ValueError, match=f'{at.name} cannot be read: {why}'): support_files(folders/'examples')
            at.unlink()
    for name in 'notes.txt', '.#0.png': (folders/'examples'/CLASSES[0]/name).symlink_to(folders/'nowhere')
    with pytest.warns(UserWarning, match='1 .txt'): assert len(support_files(folders/'examples')[CLASSES[0]]) == 5
    os.rename(folders/'new'/'■-5.png', os.fsencode(folders/'new') + b'/caf\xe9.png')
    for paths in [folders/'new'], [Path(os.fsdecode(os.fsencode(folders/'new') + b'/caf\xe9.png'))]:
        with pytest.raises(ValueError, match='expected a name in UTF-8'): query_files(paths)

def test_many_classes_in_a_page(tmp_path):
    model, rng = FewShotClassifier(seeded(0, conv4, 5)), np.random.default_rng(0)
    x, names = rng.random((303, 3, 32, 32), np.float32), [f'c{i:03}' for i in range(303)]
    model.fit(x, names)
    Image.new('RGB', (32, 32)).save(tmp_path/'x.png')
    assert 'the first 151 of 303 rows' in classify_page(model, name_files(model, [tmp_path/'x.png']))

@pytest.mark.parametrize('ground, value', [('white', 1.), ('black', 0.), ('#ff0000', (1., 0., 0.))])
def test_the_ground_behind_transparent_pixels(tmp_path, ground, value):
    Image.new('RGBA', (32, 32), (9, 9, 9, 0)).save(tmp_path/'clear.png')
    x = as_images([tmp_path/'clear.png', Image.open(tmp_path/'clear.png')], (3, 32, 32), ground)
    assert torch.equal(x, torch.tensor(value).expand(3)[None,:,None,None].expand(2, 3, 32, 32))

def test_the_ground_is_kept_with_the_classifier(tmp_path):
    clear = [Image.new('RGBA', (32, 32), (0, 0, 0, 0)), Image.new('RGBA', (32, 32), (255, 255, 255, 255))]
    kept = FewShotClassifier(seeded(0, conv4, 5), ground='black').fit(clear, ['a', 'b'])
    kept.save(tmp_path/'kept.safetensors')
    assert kept.support_[0].max() == 0 and FewShotClassifier.load(tmp_path/'kept.safetensors').ground == 'black'
    with pytest.raises(ValueError, match='expected a colour'): FewShotClassifier(seeded(0, conv4, 5), ground='clear').fit(clear, ['a', 'b'])
