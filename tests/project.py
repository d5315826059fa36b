"Where things are in the project, what its notebooks export, and how to run its tools elsewhere."
import io, os, re, shutil, subprocess, sys, sysconfig
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NBS, LIB = ROOT/'nbs', ROOT/'bidf_mkd'

def relative(path): return path.relative_to(NBS)

NOTEBOOKS = sorted(p for p in NBS.rglob('*.ipynb') if not any(o[0] in '._' for o in relative(p).parts))

def read(path): return nbformat.read(path, as_version=4)

def code_cells(nb): return [c for c in nb.cells if c.cell_type == 'code']

def directives(nb, name):
    "The argument of each `#| name` line in `nb`, '' where there is none"
    return [a for c in code_cells(nb) for a in re.findall(rf'^#\|[ \t]*{name}\b[ \t]*(\S*)', c.source, re.M)]

EXPORTING = {m.removesuffix('.__init__'): p for p in NOTEBOOKS for m in directives(read(p), 'default_exp')}   # module -> the notebook that exports it

def source(module):
    "The file of a module, or of a package"
    path = LIB/module.replace('.', '/')
    return path/'__init__.py' if path.is_dir() else path.with_suffix('.py')

CHANGES = ('procedural 160', 'images 5', 'query 4', 'joint_steps 8', 'stop_loss 0', 'distil_inner_steps 3', 'replay_steps 3', 'meta_batch 1',
           'prototype_steps 20', 'final_steps 30')
SMALL = ['demo', '--apis', '2', '--episodes', '4', '--budget', '4000', '--arch', 'conv4-16',   # a demo of seconds
         *(o for change in CHANGES for o in ('-p', *change.split()))]

def environment(**extra):
    "What a subprocess gets: this tree first on its path, and tools that do their work though a test called them"
    path = os.pathsep.join(map(str, (ROOT, ROOT/'tests'/'quick')))
    return {'OMP_NUM_THREADS': '1'} | {k: v for k, v in os.environ.items() if k != 'IN_TEST'} | {'PYTHONPATH': path} | extra

def copy_project(to):
    "Copy what nbdev and setuptools read, and the tests, to the folder `to`"
    for o in 'settings.ini', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE': shutil.copy(ROOT/o, to)
    for o in NBS, LIB, ROOT/'tests': shutil.copytree(o, to/o.name, ignore=shutil.ignore_patterns('__pycache__', '.*'))
    return to

def run(*command, cwd=ROOT, **env):
    "What `command` prints, run in the folder `cwd`"
    done = subprocess.run(command, cwd=cwd, env=environment(**env), capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout

def python(*args, **kwargs): return run(sys.executable, *args, **kwargs)

def nbdev(command, cwd): run(Path(sysconfig.get_path('scripts'))/f'nbdev-{command}', cwd=cwd)

def command(*args, **env):
    "`bidf-mkd` with these arguments, as a process"
    call = sys.executable, '-c', 'import sys; from bidf_mkd.cli import main; sys.exit(main())', *map(str, args)
    return subprocess.Popen(call, cwd=ROOT, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def command_here(*args):
    "`bidf-mkd` with these arguments in this process, which saves the start of another: its exit code, what it printed, and its errors"
    from bidf_mkd.cli import main
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err: code = main(list(map(str, args)))
    return code, out.getvalue(), err.getvalue()

def finish(process):
    "The exit code of a process, what it printed, and its errors"
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err

@contextmanager
def served(*args, **env):
    "The url of `bidf-mkd serve`, and its process"
    process = command('serve', *args, OMP_NUM_THREADS='1', **env)
    line = process.stdout.readline()
    assert line.startswith('http://127.0.0.1:'), process.communicate()
    try: yield line.split()[0], process
    finally:
        process.kill()
        process.communicate()
