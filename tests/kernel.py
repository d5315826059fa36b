"Processes that run the cells of a notebook, forked from one that has imported what takes long to import."
import io, os, sys, traceback
from contextlib import redirect_stdout
from multiprocessing import get_context, set_start_method

# by others, none of it ours
HEAVY = ['IPython', 'anywidget', 'ipywidgets', 'nbformat', 'pandas', 'plotly.graph_objects', 'torch', 'torch._dynamo', 'torchvision']

forked = get_context('forkserver')
forked.set_forkserver_preload(HEAVY)

def run_cells(folder, cells, env, told):
    "Run cells one after the other as a kernel does; `told` is sent what went wrong, '' if nothing did"
    from IPython.core.interactiveshell import InteractiveShell
    from bidf_mkd.models import keep_memory
    set_start_method(None, force=True)  # for processes that the cells start: as in a kernel
    os.environ.update(env)
    os.chdir(folder)
    sys.path.insert(0, '')
    keep_memory()
    shell, printed = InteractiveShell.instance(), io.StringIO()
    for cell in cells:
        with redirect_stdout(printed): done = shell.run_cell(cell)
        if not done.success:
            error = done.error_before_exec or done.error_in_exec
            return told.send('\n'.join([printed.getvalue()[-5000:], cell, *traceback.format_exception(error)]))
    told.send('')

def run_notebook(folder, cells, env, seconds):
    "What went wrong in a process of its own, '' if nothing did"
    told, end = forked.Pipe(duplex=False)
    process = forked.Process(target=run_cells, args=(folder, cells, env, end))
    process.start()
    end.close()
    try:
        if not told.poll(seconds): return f'not done after {seconds} s'
        return told.recv()
    except EOFError: return f'its process died with exit code {process.join(10) or process.exitcode}'
    finally:
        process.join(3)     # it may have threads that do not end
        process.kill()
