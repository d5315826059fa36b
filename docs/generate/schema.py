"The JSON Schema of an apis.yaml, for editors: docs/apis.schema.json, from the rules in sources."
import json
from pathlib import Path

from bidf_mkd.sources import apis_schema

PAGE = Path(__file__).resolve().parents[1]/'apis.schema.json'

def written(): return json.dumps(apis_schema(), indent=1, ensure_ascii=False) + '\n'

if __name__ == '__main__': PAGE.write_text(written(), encoding='utf-8')
