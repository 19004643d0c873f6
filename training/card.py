"""x"""


def write_cards(folder):
    pass
