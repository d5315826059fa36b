"Folders and pictures as people have them. Both tables grow by a line."
import io, os, struct, zipfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image, ImageCms

from bidf_mkd.data import SPLITS, decode, domain, image_folder, in_8_bits
from project import command_here

# pictures: two by two pixels, and what they are in 8 bits of grey, row by row

FOUR, SEEN = np.array([[0, 1], [2, 4]]), [0, 64, 128, 255]      # quarters of the brightest pixel

def saved(image, form='png', **more):
    "An image, or an array, as a file of a format"
    image, file = image if isinstance(image, Image.Image) else Image.fromarray(image), io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()

def tiff(pixels, kind, orientation=1):
    "A TIFF file of numbers of a kind of numpy, in its byte order; it says whether they have signs"
    data, kind = pixels.astype(kind).tobytes(), np.dtype(kind)
    order, bits, signs = '>' if kind.str[0] == '>' else '<', 8*kind.itemsize, dict(u=1, i=2, f=3)[kind.kind]
    tags = {256: 2, 257: 2, 258: bits, 259: 1, 262: 1, 273: 8, 274: orientation, 277: 1, 278: 2, 279: len(data), 339: signs}
    entries = b''.join(struct.pack(f'{order}HHII', k, 4, 1, v) for k, v in tags.items())
    return (b'MM\0*' if order == '>' else b'II*\0') + struct.pack(f'{order}I', 8 + len(data)) + data + struct.pack(f'{order}H', len(tags)) + entries + bytes(4)

def quarters(brightest, kind=float): return (FOUR*(brightest/4)).round().astype(kind)

def of_mode(mode): return Image.fromarray(quarters(255, np.uint8)).convert('RGB').convert(mode)

def black_dot(mode='RGBA'):
    "Black at the top left, nothing elsewhere"
    image = Image.new('RGBA', (2, 2), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    return image.convert(mode)

def turned(tag):
    "Such that a reader who follows the tag sees `SEEN`"
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[tag]      # of Image.Transpose
    image = Image.fromarray(quarters(255, np.uint8)).transpose(Image.Transpose(back))
    image.getexif()[274] = tag
    return image

def lab():
    srgb, to = (ImageCms.ImageCmsProfile(ImageCms.createProfile(name)) for name in ('sRGB', 'LAB'))
    return ImageCms.profileToProfile(of_mode('RGB'), srgb, to, outputMode='LAB')

def palette_and_alpha():
    image = Image.new('PA', (2, 2), (0, 0))
    image.putpalette(bytes(768))
    image.putpixel((0, 0), (0, 255))
    return image

def with_palette(): return black_dot().quantize()

DOT = [0, 255, 255, 255]
PICTURES = {    # what it is: the file, or an image in memory, and what it shows, or what is wrong with it
    '8 bits': (saved(quarters(255, np.uint8)), SEEN),
    'colour': (saved(of_mode('RGB')), SEEN),
    'bilevel': (saved(Image.fromarray(FOUR > 1)), [0, 0, 255, 255]),
    'palette': (saved(of_mode('RGB').quantize(), 'gif'), SEEN),
    'CMYK': (saved(of_mode('CMYK'), 'tiff'), SEEN),
    'YCbCr': (saved(of_mode('YCbCr'), 'tiff'), SEEN),
    'HSV': (of_mode('HSV'), SEEN),
    'RGBX': (of_mode('RGBX'), SEEN),
    'Lab': (saved(lab(), 'tiff'), SEEN),
    '12 bits in 16': (saved(quarters(4095, np.uint16)), SEEN),
    '16 bits': (saved(quarters(65535, np.uint16)), SEEN),
    '16 bits, the other byte order': (tiff(quarters(65535), '>u2'), SEEN),
    '8 bits in 16': (tiff(quarters(255), '<u2'), SEEN),
    '24 bits in 32': (tiff(quarters(2**24 - 1), '<u4'), SEEN),
    '32 bits': (tiff(quarters(2**32 - 1), '<u4'), SEEN),
    '32 bits with a sign': (tiff(quarters(2**31 - 1), '<i4'), [0, 32, 64, 127]),
    '32 bits with a sign, the other byte order': (tiff(quarters(2**31 - 1), '>i4'), [0, 32, 64, 127]),
    '16 bits with a sign': (tiff(quarters(4095), '<i2'), SEEN),
    'negative numbers': (tiff(-quarters(4095), '<i2'), 'not negative'),
    'floats up to 1': (tiff(FOUR/4, '<f4'), SEEN),
    'floats up to 255': (tiff(quarters(255), '<f4'), SEEN),
    'floats up to 65535': (tiff(quarters(65535), '>f4'), SEEN),
    'floats beyond all integers': (tiff(FOUR*1e20, '<f4'), SEEN),
    'no number': (tiff(np.full((2, 2), np.nan), '<f4'), 'finite'),
    'black on nothing': (saved(black_dot()), DOT),
    'black on nothing, grey': (saved(black_dot('LA')), DOT),
    'black on nothing, webp': (saved(black_dot(), 'webp', lossless=True, exact=True), DOT),
    'half transparent': (saved(Image.new('LA', (2, 2), (0, 128))), [127]*4),
    'a transparent colour of a palette': (saved(with_palette(), 'gif', transparency=with_palette().getpixel((1, 1))), DOT),
    'a transparent grey': (saved(quarters(255, np.uint8), transparency=64), [0, 255, 128, 255]),
    'a transparent colour': (saved(of_mode('RGB'), transparency=(64, 64, 64)), [0, 255, 128, 255]),
    'a transparent grey of 16 bits': (saved(quarters(65535, np.uint16), transparency=16384), [0, 255, 128, 255]),
    'bilevel, white is transparent': (saved(Image.fromarray(FOUR < 1).convert('1'), transparency=0), [255]*4),
    'premultiplied': (black_dot('RGBa'), DOT),
    'premultiplied grey': (black_dot('LA').convert('La'), DOT),
    'palette and alpha': (palette_and_alpha(), DOT)}
PICTURES |= {f'floats up to {most}': (tiff(np.where(FOUR == 4, most, FOUR/4), '<f4'), SEEN) for most in (1.0000002, 1.02)}   # resampling overshoots
PICTURES |= {f'orientation {tag}': (saved(turned(tag), exif=turned(tag).getexif()), SEEN) for tag in range(2, 9)}
PICTURES |= {f'orientation 6 of {kind}': (tiff(np.rot90(quarters(65535)), kind, orientation=6), SEEN) for kind in ('<u2', '<u4', '<f4')}
PICTURES |= {f'mode {mode}': (Image.frombytes(mode, (2, 2), quarters(65535).astype(kind).tobytes()), SEEN)
             for mode, kind in {'I': 'i4', 'F': 'f4', 'I;16': '<u2', 'I;16L': '<u2', 'I;16B': '>u2', 'I;16N': 'u2'}.items()}

def opened(picture): return picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(picture))

def grey(picture, ground=(255, 255, 255)):
    if isinstance(picture, Image.Image): return np.array(in_8_bits(picture, 1, ground)).flatten().tolist()
    return decode(picture, 'the picture', 2, 1, ground).flatten().tolist()

@pytest.mark.parametrize('name', PICTURES)
def test_a_picture_of_a_kind(name):
    picture, right = PICTURES[name]
    if isinstance(right, str):
        with pytest.raises(ValueError, match=right): grey(picture)
    else: assert max(abs(a - b) for a, b in zip(grey(picture), right)) <= 1, (grey(picture), right)

def test_every_mode_of_pillow_is_in_the_table():
    assert set(Image.MODES) <= {opened(p).mode for p, _ in PICTURES.values()}

@pytest.mark.parametrize('name', [k for k, (_, right) in PICTURES.items() if right == DOT])
def test_the_ground_can_be_chosen(name):
    picture = PICTURES[name][0]
    assert grey(picture, (0, 0, 0)) == [0]*4 and abs(grey(picture, (255, 0, 0))[1] - 76) <= 1

# folders: what is done to a good one, and what is read of it, or why it is not

@contextmanager
def as_nobody():
    "Without the rights of root, who may read everything"
    if os.geteuid(): yield; return
    os.seteuid(65534)
    try: yield
    finally: os.seteuid(0)

def good(root, n=3):
    for split in SPLITS:
        for c in 'ab':
            (root/split/c).mkdir(parents=True)
            for i in range(n): Image.new('L', (8, 8), 10*i).save(root/split/c/f'{i}.png')
    return root

def linked(root, path):
    "The file or folder at a path is elsewhere, and a link leads there"
    away = root.parent/'elsewhere'/path
    away.parent.mkdir(parents=True)
    (root/path).rename(away)
    (root/path).symlink_to(away)

def zipped(root, rename=lambda n: n, damage=lambda data: data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as z:
        for p in sorted(root.rglob('*.png')): z.writestr(rename(zipfile.ZipInfo(p.relative_to(root.parent).as_posix())), p.read_bytes())
    (root.parent/'data.zip').write_bytes(damage(file.getvalue()))

def with_backslashes(info):
    info.filename = info.filename.replace('/', '\\')
    return info

def encrypted(data): return data.replace(b'PK\1\2\x14\3\x14\0\0\0', b'PK\1\2\x14\3\x14\0\1\0').replace(b'PK\3\4\x14\0\0\0', b'PK\3\4\x14\0\1\0')

def byte_name(name): return os.fsdecode(name)

A = 'meta_train/a'
FOLDERS = { # what is special: what is done to the folder, how many images of class a there are then or why not, and what a warning says
    'nothing': (lambda r: None, 3, None),
    'a class is a link': (lambda r: linked(r, A), 3, None), 'a split is a link': (lambda r: linked(r, 'meta_train'), 3, None),
    'an image is a link': (lambda r: linked(r, f'{A}/0.png'), 3, None), 'a link leads back': (lambda r: (r/A/'up').symlink_to(r), 3, None),
    'a link leads nowhere': (lambda r: (r/A/'3.png').symlink_to(r/'gone'), 'meta_train/a/3.png cannot be read: No such file', None),
    'a class is a link that leads nowhere': (lambda r: (r/'meta_train'/'c').symlink_to(r/'gone'),
                                             'meta_train/c cannot be read: No such file or directory, it is a link to', None),
    'a class is a link to itself': (lambda r: (r/'meta_train'/'c').symlink_to('c'), 'meta_train/c cannot be read: Too many levels of symbolic links', None),
    'a class is a link to what may not be read': (lambda r: ((r/'x/y').mkdir(parents=True), (r/'x').chmod(0), (r/'meta_train'/'c').symlink_to(r/'x/y')),
                                                  'meta_train/c cannot be read: Permission denied', None),
    'a split is a link that leads nowhere': (lambda r: ((r/'meta_train').rename(r/'x'), (r/'meta_train').symlink_to(r/'gone')),
                                             'no folder meta_train/, and meta_train cannot be read: No such file', None),
    'notes are a link that leads nowhere': (lambda r: (r/A/'notes.txt').symlink_to(r/'gone'), 3, '1 .txt'),
    'a hidden link that leads nowhere': (lambda r: (r/A/'.#lock').symlink_to(r/'gone'), 3, None),
    'a class may not be read': (lambda r: (r/A).chmod(0), 'meta_train/a/ cannot be read: Permission denied', None),
    'a split may not be read': (lambda r: (r/'meta_train').chmod(0), 'meta_train/ cannot be read: Permission denied', None),
    'an image may not be read': (lambda r: (r/A/'1.png').chmod(0), 'meta_train/a/1.png cannot be read: Permission denied', None),
    'nothing may be read': (lambda r: r.chmod(0), 'cannot be read: Permission denied', None),
    'a class is no UTF-8': (lambda r: (r/A).rename(r/'meta_train'/byte_name(b'caf\xe9')), r"name of the class 'caf\udce9' of meta_train is no UTF-8", None),
    'an image is no UTF-8': (lambda r: (r/A/'1.png').rename(r/A/byte_name(b'\xff.png')), 3, None),
    'a broken image that is no UTF-8': (lambda r: (r/A/byte_name(b'\xff.png')).write_bytes(b''), r'is not a readable image', None),
    'names of any language': (lambda r: (r/A).rename(r/'meta_train'/'à {x} %s'), 3, None),
    'heic': (lambda r: [(r/A/f'{i}.HEIC').touch() for i in range(4)], 3, '4 file(s) of meta_train skipped, which are no images'),
    'heic alone': (lambda r: [p.rename(p.with_suffix('.heic')) for p in (r/A).iterdir()], 'class a of meta_train in ROOT has no image, but 3 .heic', None),
    'jfif': (lambda r: (r/A/'9.jfif').write_bytes(saved(Image.new('L', (8, 8)), 'jpeg')), 4, None),
    'other files': (lambda r: [(r/'meta_train'/n).touch() for n in ('readme', 'a/x.txt', 'b/y.txt')], 3, '2 .txt, 1 without an ending'),
    'folders in a class': (lambda r: ((r/A/'more').mkdir(), (r/A/'0.png').rename(r/A/'more'/'0.png')), 2, '1 .png in folders of a class'),
    'a pipe': (lambda r: os.mkfifo(r/A/'9.png'), 3, None), 'hidden files': (lambda r: (r/A/'.DS_Store').touch(), 3, None),
    'zip': (zipped, 3, None), 'zip with backslashes': (lambda r: zipped(r, with_backslashes), 3, None),
    'zip with a password': (lambda r: zipped(r, damage=encrypted), 'password required', None),
    'zip with a byte that flipped': (lambda r: zipped(r, damage=lambda d: d.replace(b'IDAT', b'IDET')), 'cannot be read: Bad CRC-32', None),
    'zip that ends early': (lambda r: zipped(r, damage=lambda d: d[:-40]), 'not a readable zip file', None)}

@pytest.fixture
def place():
    "A folder that everybody can reach"
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)

@pytest.mark.parametrize('name', FOLDERS)
def test_a_folder_of_a_kind(place, recwarn, name):
    change, right, told = FOLDERS[name]
    root = good(place/'data')
    change(root)
    if name.startswith('zip'): root = place/'data.zip'
    with as_nobody() if ' may ' in name else nullcontext():
        if isinstance(right, str):
            with pytest.raises((ValueError, FileNotFoundError)) as e: image_folder(root, 'meta_train', 8)
            assert right.replace('ROOT', str(root)) in str(e.value)
        else:
            x, y, classes = image_folder(root, 'meta_train', 8)
            assert len(classes) == 2 and (y == [c not in 'b' for c in classes].index(True)).sum() == right and x.shape[1:] == (3, 8, 8)
    said = ' '.join(str(w.message) for w in recwarn)
    assert told in said if told else 'skipped' not in said

def test_reasons_are_told_before_anything_is_done(tmp_path):
    "Through the command: what was skipped in a line, and then the mistake in another"
    root = good(tmp_path/'data', 21)
    (root/'meta_train'/'b'/'x.heic').touch()
    (root/'meta_test'/'a').rename(root/'meta_test'/byte_name(b'\xff'))
    code, _, err = command_here('demo', '--dataset', root, '--size', 16, '--out', tmp_path/'out')
    assert code == 2 and 'is no UTF-8' in err and '1 file(s) of meta_train skipped' in err and len(err.strip().splitlines()) == 2, err
    assert not (tmp_path/'out').exists()

def test_the_ground_of_a_data_set(tmp_path):
    root = good(tmp_path/'data')
    for p in root.rglob('*.png'): p.write_bytes(saved(Image.new('LA', (8, 8), (0, 0))))
    for ground, shown in dict(white=[255]*3, black=[0]*3, red=[255, 0, 0]).items():
        x, _, _ = domain(root, 8, 3, ground).load('meta_test')
        assert x[0, :, 0, 0].tolist() == shown
    code, _, err = command_here('demo', '--dataset', root, '--ground', 'whitish', '--out', tmp_path/'out')
    assert code == 2 and "'whitish'" in err and len(err.strip().splitlines()) == 1, err
