/* A program that says nothing and succeeds. */
int main(void) {
    return 0;
}
