"""How long the page of explorers takes to open, for one visitor after the other and for ten at once; their browser runs on the same cores.

python benchmarks/visitors.py prints a table and writes results/visitors.json. It needs Chromium, and a machine that does nothing else."""
import asyncio, json, os, platform, shutil, subprocess, sys, time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from playwright.async_api import async_playwright

from bidf_mkd.demo.report import versions

HERE = Path(__file__).parent
GAP = 15 # seconds between visitors who come one after the other: the next kernel is ready by then

def served(folder):
    "The process of `bidf-mkd lab --app`, and the address that it prints; seconds until then"
    begun = time.perf_counter()
    program = [sys.executable, '-c', 'import sys; from bidf_mkd.cli import main; sys.exit(main())']
    server = subprocess.Popen([*program, 'lab', folder, '--app', '--no-browser'], stdout=subprocess.PIPE, text=True)
    line = next(o for o in server.stdout if o.startswith('Open '))
    return server, line.split()[1], time.perf_counter() - begun

def memory(server):
    "GiB that a process and its children take, what they share counted once"
    tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    return sum(p.memory_full_info().pss for p in tree)/2**30

async def visit(browser, url):
    "Seconds until a visitor sees the tabs; the page stays open"
    page, begun = await (await browser.new_context()).new_page(), time.perf_counter()
    await page.goto(url, wait_until='commit', timeout=300_000)
    await page.get_by_role('tab', name='Boundary').wait_for(timeout=300_000)
    return time.perf_counter() - begun

async def visits(url, n, together):
    "Seconds of each of `n` visitors who come one after the other, then of `together` who come at once"
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))))
    async with async_playwright() as playwright:
        browser, alone = await playwright.chromium.launch(executable_path=program, args=['--no-sandbox']), []
        for _ in range(n):
            alone.append(await visit(browser, url))
            for context in browser.contexts: await context.close()
            await asyncio.sleep(GAP)
        yield alone
        yield await asyncio.gather(*(visit(browser, url) for _ in range(together)))

async def measure(server, url, start):
    "What is measured of a server"
    before, seconds = memory(server), visits(url, 4, 10)
    found = dict(seconds_until_address=start, gib_before=before, seconds_alone=await anext(seconds), seconds_of_ten=await anext(seconds),
                 gib_with_ten=memory(server))
    await seconds.aclose()
    return found

def main():
    with TemporaryDirectory() as folder:
        server, *found = served(folder)
        try: row = asyncio.run(measure(server, *found))
        finally:
            server.terminate()
            server.wait()
    row |= dict(hardware=f'{platform.machine()}, {os.cpu_count()} cores', versions=versions())
    (HERE/'results'/'visitors.json').write_text(json.dumps(row, indent=1) + '\n', encoding='utf-8')
    print(json.dumps(row, indent=1))

if __name__ == '__main__': main()
