"""The one exception whose message is meant for the user."""


class BrainmetError(Exception):
    """A problem a user can correct: one sentence that names the file, the value and the remedy.

    A job shows the sentence without a traceback; anything else that is raised is a bug and keeps its traceback.
    Lines of another library's message that is quoted in it are joined.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(line.strip() for line in sentence.splitlines()))
