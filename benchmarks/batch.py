"""What a sweep adds to the notebooks it runs: 20 trivial runs on 2 workers, against two processes that call papermill 10 times each.

python benchmarks/batch.py [--runs 20] prints a table and writes results/batch.json."""
import argparse, json, os, platform, tempfile, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import nbformat, papermill

from bidf_mkd.batch import grid, sweep, workers
from bidf_mkd.demo import versions

HERE = Path(__file__).parent

def trivial(folder):
    "A notebook that does nothing but write its row"
    row = "import pathlib\n(pathlib.Path(out)/'metrics.json').write_text('{\"y\": 1}')"
    cells = [nbformat.v4.new_code_cell("x = 0\nout = ''", metadata=dict(tags=['parameters'])), nbformat.v4.new_code_cell(row)]
    kernel = dict(kernelspec=dict(name='python3', display_name='python3', language='python'))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder/'trivial.ipynb')
    return folder/'trivial.ipynb'

def bare(notebook, folder, n):
    "papermill alone, n times; seconds"
    folder.mkdir(parents=True)
    begun = time.perf_counter()
    for i in range(n):
        papermill.execute_notebook(str(notebook), str(folder/f'{i}.ipynb'), dict(x=i, out=str(folder)), progress_bar=False, store_widget_state=False)
    return time.perf_counter() - begun

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--runs', type=int, default=20)
    p.add_argument('--repeats', type=int, default=3)
    args = p.parse_args()
    rows = []
    for i in range(args.repeats):
        place = Path(tempfile.mkdtemp())
        notebook = trivial(place)
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(bare, [notebook]*2, [place/'warm0', place/'warm1'], [1, 1]))
            ideal = max(pool.map(bare, [notebook]*2, [place/'bare0', place/'bare1'], [args.runs//2]*2))
        for kind in 'processes', 'dask':
            with workers(kind, 2) as executor:
                sweep(notebook, grid(x=[-1, -2]), place/f'{kind}-warm', executor) # workers have begun and imported what they need
                begun = time.perf_counter()
                table = sweep(notebook, grid(x=range(args.runs)), place/kind, executor)
                seconds = time.perf_counter() - begun
            assert (table.state == 'done').all()
            rows.append(dict(executor=kind, runs=args.runs, workers=2, seconds=seconds, bare_seconds=ideal, ratio=seconds/ideal))
            print(f'{kind:10} {seconds:6.1f} s, papermill alone {ideal:6.1f} s: {seconds/ideal:.2f} times', flush=True)
    for kind in 'processes', 'dask': print(f"{kind:10} median {median(r['ratio'] for r in rows if r['executor'] == kind):.2f}")
    (HERE/'results').mkdir(exist_ok=True)
    hardware = f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores'
    (HERE/'results'/'batch.json').write_text(json.dumps(dict(rows=rows, versions=versions(), hardware=hardware), indent=1))

if __name__ == '__main__': main()
