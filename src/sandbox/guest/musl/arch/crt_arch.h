/* Nothing: the program is entered through __guest_start (start.c). */
