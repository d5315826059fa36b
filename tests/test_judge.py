"The open judge reads what it knows, chance is chance, and a quiz adds up."
import json, re

import pytest
import torch

from bidf_mkd.apps.quiz import Quiz
from bidf_mkd.data import Domain, as_float, draw
from bidf_mkd.judge import quiz, quiz_page, train_judge

CLASSES = 'LOTVX'

def load(split): return torch.cat([draw(c, 60, size=16) for c in CLASSES]), torch.arange(5).repeat_interleave(60), list(CLASSES)

LETTERS = Domain('letters', 16, 3, dict(meta_train=tuple(CLASSES)), load)

@pytest.fixture(scope='module')
def judge(tmp_path_factory): return train_judge(LETTERS, tmp_path_factory.mktemp('judge'), steps=60)

def test_it_reads_images_it_has_not_seen(judge):
    x, names = as_float(torch.cat([draw(c, 20, seed=9, size=16) for c in CLASSES])), [c for c in CLASSES for _ in range(20)]
    read = judge.read(x, names)
    assert read.top() > .9 and read.top(5) == 1 and (read.rank == 1).float().mean().item() == pytest.approx(read.top())
    assert sum(a == b for a, b in zip(read.named, names)) == (read.rank == 1).sum()
    assert judge.real.top() > .9 and f'{judge.real.top():.0%}' in str(judge.real)
    shuffled = judge.read(x, names[20:] + names[:20])
    assert shuffled.top() < .1 and shuffled.chance() == .2 and shuffled.chance(5) == 1

def test_images_that_show_nothing_are_named_at_chance(judge):
    x = torch.rand(200, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert judge.read(x, list(CLASSES)*40).top() == pytest.approx(.2, abs=.02), 'whatever it names, a fifth of the wanted names are that'

def test_diversity(judge):
    x = as_float(torch.cat([draw(c, 20, seed=9, size=16) for c in CLASSES]))
    y = torch.arange(5).repeat_interleave(20)
    assert judge.diversity(x[:1].expand(4, -1, -1, -1), torch.zeros(4)) == pytest.approx(0, abs=1e-5)
    assert 0 < judge.diversity(x, y) < judge.diversity(x, torch.arange(20).repeat(5)), 'images of one class are more alike than those of several'

def test_what_it_does_not_know(judge):
    with pytest.raises(ValueError, match="does not know the class 'Q'"): judge.read(torch.rand(1, 3, 16, 16), ['Q'])
    with pytest.raises(ValueError, match='a name for each of 2 images, got 1'): judge.read(torch.rand(2, 3, 16, 16), ['L'])

def test_a_judge_is_trained_once(judge, tmp_path):
    first, again = (train_judge(LETTERS, tmp_path, steps=10) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values()))

@pytest.fixture
def questions(): return quiz(as_float(torch.cat([draw(c, 1, size=16) for c in CLASSES])), list(CLASSES), 'ABCLOTVX', ways=4, seed=3)

def test_questions(questions):
    assert sorted(q.answer for q in questions) == sorted(CLASSES)
    assert all(len(set(q.options)) == 4 and q.answer in q.options for q in questions)
    with pytest.raises(ValueError, match='ways: expected 2 to 8'): quiz(torch.rand(1, 3, 16, 16), ['L'], 'ABCLOTVX', ways=9)
    with pytest.raises(ValueError, match="'L' is none of the classes"): quiz(torch.rand(1, 3, 16, 16), ['L'], 'ABC')

def test_a_page_holds_all_that_the_quiz_needs(questions):
    page = quiz_page(questions, 'What <is> this?')
    data = json.loads(re.search(r'const questions = (\[.*?\]), named', page)[1])
    assert [(d['answer'], tuple(d['options'])) for d in data] == [(q.answer, q.options) for q in questions]
    assert all(d['image'].startswith('data:image/png;base64,') for d in data) and 'What &lt;is&gt; this?' in page

def test_a_quiz_adds_up(questions):
    asked = Quiz(questions)
    wrong = next(o for o in questions[0].options if o != questions[0].answer)
    with pytest.raises(ValueError, match='no question was answered yet'): asked.show()
    with pytest.raises(ValueError, match='is no answer to this question'): asked.choose('?')
    next(b for b in asked.options.children if b.description == wrong).click()
    for q in questions[1:]: next(b for b in asked.options.children if b.description == q.answer).click()
    assert asked.right == 4 and asked.named[0] == wrong and 'You named 4 of 5 images. Guessing would name 1.2' in asked.where.value
    asked.show()
    with pytest.raises(ValueError, match='the quiz is over'): asked.choose('L')
    with pytest.raises(ValueError, match='at least one question'): Quiz([])
