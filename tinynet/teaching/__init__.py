"""What lessons are made of: their form, how they run, and how they are shown, in a terminal and as pages.

The lessons themselves stand in ``tinynet/lessons/``. A lesson imports its words from here:

    from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
"""

from tinynet.teaching.lesson import Check, Choice, Experiment, Lesson, Number, Run, Slider

__all__ = ["Check", "Choice", "Experiment", "Lesson", "Number", "Run", "Slider"]
