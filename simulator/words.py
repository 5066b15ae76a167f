"""What a prompt is about, as far as the simulator can draw it: words of English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Table: TypeAlias = Mapping[str, str]

#: What is in the middle of the picture, by the words for it.
_SUBJECTS: Final[Table] = {
    "animal": "animal fox cat kitten dog puppy wolf horse deer lion tiger bear rabbit cow sheep "
    "elephant panda 动物 狐狸 猫 狗 狼 马 鹿 狮 虎 熊 兔 牛 羊 象",
    "bird": "bird eagle owl swallow crow gull dragon butterfly bee plane airplane 鸟 鹰 燕 龙 蝴蝶 "
    "蜜蜂 飞机",
    "fish": "fish whale dolphin shark 鱼 鲸 海豚 鲨",
    "boat": "boat ship sail sailing yacht 船 帆",
    "car": "car bus truck train taxi vehicle 汽车 车 火车",
    "rocket": "rocket spaceship spacecraft satellite ufo 火箭 飞船",
    "house": "house castle temple tower cabin lighthouse palace 房 城堡 塔 庙 宫",
    "fruit": "apple pear peach orange lemon plum cherry grape fruit quince tomato 苹果 梨 桃 橙 "
    "柠檬 樱桃 葡萄 水果",
    "person": "person people man woman girl boy child dancer robot astronaut king queen hero "
    "knight 人 女孩 男孩 女 孩子 舞者 机器人 宇航员",
    "orb": "moon sun planet earth ball balloon bubble pearl 月 太阳 星球 地球 球 气泡",
    "flower": "flower rose lotus tulip tree blossom sunflower 花 玫瑰 莲 树",
}
#: What is behind it.
_PLACES: Final[Table] = {
    "sea": "sea ocean lake river beach wave water harbour harbor underwater island 海 湖 江 河 浪 "
    "水",
    "mountains": "mountain hill valley volcano cliff canyon peak 山 谷 峡",
    "city": "city street town skyline building neon road 城 街 楼 霓虹",
    "forest": "forest wood jungle 森林 树林 丛林",
    "snow": "snow snowy ice winter arctic 雪 冰 冬",
    "desert": "desert dune sand sahara 沙",
    "field": "garden field meadow grass park farm 花园 田 草",
    "space": "space galaxy stars universe cosmos nebula 太空 宇宙 银河 星空",
}
#: What falls or rises through the picture.
_WEATHERS: Final[Table] = {
    "snow": "snow snowy winter 雪",
    "rain": "rain rainy storm 雨",
    "stars": "stars galaxy space universe firefly sparkle magic glitter 星空 星星 宇宙 太空 萤火虫",
    "petals": "petal blossom spring autumn leaf leaves garden 花瓣 春 秋 落叶 花园",
    "smoke": "evaporate fire smoke steam fog mist bubble underwater 烟 雾 火 蒸发 气泡",
}
_LIGHTS: Final[Table] = {
    "night": "night midnight moon dark neon stars galaxy space 夜 月 星空 宇宙 霓虹",
    "sunset": "sunset sunrise dawn dusk evening 日落 日出 黄昏 黎明 夕阳",
    "day": "day morning noon sunny summer snow 白天 早晨 中午 夏 雪",
}
#: What the subject does.
_ACTIONS: Final[Table] = {
    "vanish": "evaporate dissolve vanish disappear fade melt 消失 蒸发 溶解 融化",
    "spin": "spin roll rotate turn twirl orbit 旋转 滚",
    "jump": "jump dance leap bounce play 跳 舞",
}
#: Oklch hues in degrees. A colour in the prompt counts more than what a thing or a place has.
_COLOURS: Final[Mapping[str, float]] = {
    "red": 27, "orange": 45, "gold": 50, "golden": 50, "yellow": 70, "green": 155,
    "turquoise": 195, "blue": 255, "purple": 305, "violet": 305, "pink": 355,
    "红": 27, "橙": 45, "金": 50, "黄": 70, "绿": 155, "青": 195, "蓝": 255, "紫": 305, "粉": 355,
}  # fmt: skip
_HUES: Final[Mapping[str, float]] = {
    "apple": 27, "苹果": 27, "cherry": 15, "樱桃": 15, "tomato": 30, "pear": 120, "梨": 120,
    "lemon": 100, "柠檬": 100, "peach": 40, "桃": 40, "plum": 320, "grape": 310, "葡萄": 310,
    "fox": 50, "狐狸": 50, "tiger": 60, "虎": 60, "lion": 75, "狮": 75, "whale": 240, "鲸": 240,
    "bear": 45, "熊": 45, "deer": 55, "鹿": 55, "dog": 65, "狗": 65, "cat": 60, "猫": 60,
    "horse": 40, "马": 40, "sun": 85, "太阳": 85, "moon": 95, "月": 95,
    "rose": 15, "玫瑰": 15, "sunflower": 90,
}  # fmt: skip
_PLACE_HUES: Final[Mapping[str, float]] = {
    "sea": 230, "mountains": 265, "city": 290, "forest": 160, "snow": 245, "desert": 60,
    "field": 140, "space": 285,
}  # fmt: skip
#: What is in a place of which the prompt names nothing else.
_IN_PLACE: Final[Table] = {
    "sea": "boat",
    "mountains": "bird",
    "city": "car",
    "forest": "bird",
    "snow": "bird",
    "desert": "orb",
    "field": "flower",
    "space": "rocket",
}
#: Where a subject is of which the prompt names no place.
_PLACE_OF: Final[Table] = {"fish": "sea", "boat": "sea", "rocket": "space", "car": "city"}


@dataclass(frozen=True)
class Reading:
    """What is to be drawn. Each text is a key of its table above, or empty.

    `hue` is that of the whole picture, `own_hue` that of the subject; None leaves it to chance.
    `has_colour` is whether the prompt names a colour.
    """

    subject: str
    place: str
    weather: str
    light: str
    action: str
    hue: float | None
    own_hue: float | None
    has_colour: bool


def read(prompt: str) -> Reading:
    """What the words of a prompt are about: of each kind the first that is known."""
    text = prompt.lower()
    subject = _first(text, _SUBJECTS)
    place = _first(text, _PLACES) or _PLACE_OF.get(subject, "")
    colour = _value(text, _COLOURS)
    own = _value(text, _HUES) if colour is None else colour
    return Reading(
        subject or _IN_PLACE.get(place, ""),
        place,
        _first(text, _WEATHERS),
        _first(text, _LIGHTS),
        _first(text, _ACTIONS),
        _PLACE_HUES.get(place) if colour is None else colour,
        own,
        colour is not None,
    )


def _pattern(word: str) -> re.Pattern[str]:
    # With the endings of plurals and verbs. Chinese has neither those nor spaces.
    if not word.isascii():
        return re.compile(word)
    if word.endswith("e"):
        return re.compile(rf"\b{word[:-1]}(?:e|es|ed|ing)\b")
    return re.compile(rf"\b{word}(?:s|es|ed|ing)?\b")


_PATTERNS: Final = {
    word: _pattern(word)
    for table in (_SUBJECTS, _PLACES, _WEATHERS, _LIGHTS, _ACTIONS)
    for words in table.values()
    for word in words.split()
} | {word: _pattern(word) for table in (_COLOURS, _HUES) for word in table}


def _place_of(text: str, word: str) -> int:
    match = _PATTERNS[word].search(text)
    return match.start() if match else len(text)


def _first(text: str, table: Table) -> str:
    places = {key: min(_place_of(text, word) for word in table[key].split()) for key in table}
    first = min(places, key=lambda key: places[key])
    return first if places[first] < len(text) else ""


def _value(text: str, table: Mapping[str, float]) -> float | None:
    first = min(table, key=lambda word: _place_of(text, word))
    return table[first] if _place_of(text, first) < len(text) else None
