"A wheel built from the project holds the package, its experiments and its tutorials alone, and its command works without the project."
import zipfile
from configparser import ConfigParser
from importlib.metadata import Distribution

import pytest, yaml

import bidf_mkd
from project import LIB, NBS, ROOT, copy_project, python

def settings():
    ini = ConfigParser(delimiters=['='])
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def test_version():
    cited = yaml.safe_load((ROOT/'CITATION.cff').read_text(encoding='utf-8'))
    assert settings()['version'] == bidf_mkd.__version__ == cited['version'], 'settings.ini, bidf_mkd/__init__.py and CITATION.cff differ'

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "What is in a wheel that is built from a source distribution"
    source, out, site = (tmp_path_factory.mktemp(o) for o in ('source', 'out', 'site'))
    python('-m', 'build', '--no-isolation', '--outdir', out, copy_project(source))
    zipfile.ZipFile(next(out.glob('*.whl'))).extractall(site)
    return site

@pytest.fixture(scope='module')
def info(wheel): return Distribution.at(next(wheel.glob('*.dist-info')))

def test_holds_the_modules_experiments_and_tutorials_alone(wheel):
    held = {p.relative_to(wheel).as_posix() for p in wheel.rglob('*') if p.is_file()}
    beside = [p for kind in ('experiments', 'tutorials') for p in (NBS/kind).glob('*.*') if p.suffix in ('.ipynb', '.yaml', '.svg', '.jpg')]
    along = {f'{LIB.name}/{p.parent.name}/{p.name}' for p in beside}
    assert {o for o in held if '.dist-info/' not in o} == {p.relative_to(ROOT).as_posix() for p in LIB.rglob('*.py')} | along

def test_holds_the_license(info):
    assert info.metadata['License-Expression'] == 'Apache-2.0'
    assert info.read_text('licenses/LICENSE') == (ROOT/'LICENSE').read_text()

def test_metadata_is_that_of_the_settings(info):
    cfg = settings()
    assert (info.metadata['Name'], info.version, info.metadata['Summary']) == (cfg['lib_name'], cfg['version'], cfg['description'])
    assert info.metadata['Requires-Python'] == f'>={cfg["min_python"]}'
    run_time = [o for o in info.requires if 'extra ==' not in o]
    assert sorted(run_time) == sorted(cfg['requirements'].split())

def test_command_works_without_the_project(wheel, info, tmp_path):
    [command] = info.entry_points.select(group='console_scripts', name='bidf-mkd')
    call = f'import sys; from {command.module} import {command.attr} as main; sys.argv = ["bidf-mkd", "--help"]; sys.exit(main())'
    assert 'bidf-mkd' in python('-c', call, cwd=tmp_path, PYTHONPATH=str(wheel)), 'its help does not name it'
    find = 'from bidf_mkd.batch import find_file, read_preset; print(find_file("recovery", ".ipynb"), read_preset("quick"))'
    found = python('-c', find, cwd=tmp_path, PYTHONPATH=str(wheel))
    assert str(wheel) in found and 'apis' in found
    copy = '''from bidf_mkd.batch import packaged_notebooks
from bidf_mkd.lab import Path, copy_notebooks
print(copy_notebooks(Path("mine"), packaged_notebooks("tutorials")))'''
    assert 'explorers.ipynb' in python('-c', copy, cwd=tmp_path, PYTHONPATH=str(wheel)) and (tmp_path/'mine'/'explorers.ipynb').exists()
