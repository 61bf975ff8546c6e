"""`python -m tashihiki_command`."""

from tashihiki_command import main

main()
